// SPDX-License-Identifier: Apache-2.0
// Kills of the scheduler in a run, anywhere, and what comes after them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

void ExpectOneMetricsLineAStep(const Simulation& run, uint32_t steps) {
  const auto lines = run.Lines("metrics.jsonl");
  ASSERT_EQ(lines.size(), steps);
  for (uint32_t step = 0; step < steps; ++step) {
    const Json line = Json::parse(lines[step]);
    EXPECT_EQ(line["step"], step);
    EXPECT_EQ(line["weight_version"], step + 1);
  }
}

// The lines of metrics.jsonl without what depends on the time.
std::vector<Json> Counts(const Simulation& run) {
  std::vector<Json> lines;
  for (const std::string& text : run.Lines("metrics.jsonl")) {
    Json line = Json::parse(text);
    line.erase("seconds");
    line.erase("overlap");
    lines.push_back(std::move(line));
  }
  return lines;
}

// Whatever happens, a learner is never refused: it would end.
void RunWithoutRefusal(Simulation& run) {
  for (int round = 0; run.Tick(); ++round) {
    ASSERT_TRUE(run.learner_error.ok()) << run.learner_error;
    ASSERT_LT(round, 3000);
  }
}

struct KilledRun {
  const char* name;
  tree::Criterion criterion;
  bool adaptive;
  uint32_t problems, responses;
  uint32_t other_data_from = 0;

  SimulationOptions Options() const {
    SimulationOptions options;
    options.criterion = criterion;
    options.adaptive = adaptive;
    options.steps = adaptive ? 5 : 3;  // the first size that adapts is that of batch 3
    options.problems = problems;
    options.responses = responses;
    options.other_data_from = other_data_from;
    options.credits = 3;
    options.training_takes_a_round = true;
    return options;
  }
};
class KillTest : public ::testing::TestWithParam<KilledRun> {};

TEST_P(KillTest, AtEveryTransactionTheRunEndsWithTheSameBatches) {
  const SimulationOptions options = GetParam().Options();
  Simulation whole(options);
  ASSERT_TRUE(whole.Start().ok());
  ASSERT_TRUE(whole.RunToEnd());
  const auto& expected = whole.batches();
  const std::vector<Json> counts = Counts(whole);
  ASSERT_GT(whole.transactions(), 10u);
  for (uint64_t kill = 1; kill <= whole.transactions(); ++kill) {
    SCOPED_TRACE(absl::StrCat("killed after transaction ", kill));
    Simulation run(options);
    ASSERT_TRUE(run.Start().ok());
    run.KillAfter(kill);
    ASSERT_NO_FATAL_FAILURE(RunWithoutRefusal(run));
    EXPECT_TRUE(run.killed());
    ASSERT_EQ(run.batches(), expected);
    ExpectOneMetricsLineAStep(run, options.steps);
    ASSERT_EQ(Counts(run), counts);
    for (uint32_t b = 0; b < options.steps; ++b) {
      EXPECT_EQ(run.Lines(absl::StrCat("trees/batch-", b, ".jsonl")).size(),
                expected.at(b).problems);
    }
  }
}

TEST_P(KillTest, BetweenAnyTwoRoundsTheRunEndsWithTheSameBatches) {
  const SimulationOptions options = GetParam().Options();
  uint64_t transactions = 0;
  const auto expected = Undisturbed(options, &transactions);
  for (int kill = 1;; ++kill) {
    SCOPED_TRACE(absl::StrCat("killed after round ", kill));
    Simulation run(options);
    ASSERT_TRUE(run.Start().ok());
    int round = 0;
    while (round < kill && run.Tick()) ++round;
    if (round < kill) break;
    run.Kill();
    ASSERT_TRUE(run.Start().ok());
    ASSERT_NO_FATAL_FAILURE(RunWithoutRefusal(run));
    ASSERT_EQ(run.batches(), expected);
  }
}

// The learner commits again; what is left of the run is the folder as it stood when the directory
// of the tree files was synced, the new file in it.
TEST_P(KillTest, BetweenATreeFileAndTheCommitOfItsBatchTheFileIsWrittenAgainWithTheSameBytes) {
  namespace fs = std::filesystem;
  const SimulationOptions options = GetParam().Options();
  uint64_t transactions = 0;
  const auto expected = Undisturbed(options, &transactions);
  const TemporaryFolder left(TemporaryFolder::On::kMemory);
  Simulation whole(options);
  ASSERT_TRUE(whole.Start().ok());
  {
    const storage::ScopedFault observer([&](std::string_view operation, const std::string& path) {
      if (operation == "sync" && path == whole.folder() + "/trees") {
        fs::copy(whole.folder(), left / absl::StrCat(whole.version), fs::copy_options::recursive);
      }
      return 0;
    });
    ASSERT_NO_FATAL_FAILURE(RunWithoutRefusal(whole));
  }
  for (uint32_t b = 0; b < options.steps; ++b) {
    SCOPED_TRACE(absl::StrCat("killed before the commit of batch ", b));
    const std::string file = absl::StrCat("trees/batch-", b, ".jsonl");
    Simulation run(left / absl::StrCat(b), options);
    const auto trees = run.Lines(file);
    ASSERT_EQ(trees.size(), expected.at(b).problems);
    std::ofstream(run.folder() + "/" + file) << "{}";  // only a second writing makes it whole
    run.version = b;
    run.checkpoint = b / options.checkpoint_every * options.checkpoint_every;
    ASSERT_TRUE(run.Start().ok());
    EXPECT_EQ(run.scheduler().Status().steps_done, b);
    ASSERT_NO_FATAL_FAILURE(RunWithoutRefusal(run));
    EXPECT_EQ(run.Lines(file), trees);
    for (const auto& [number, batch] : run.batches()) EXPECT_EQ(batch, expected.at(number));
    EXPECT_EQ(run.batches().size(), options.steps - b);
    ExpectOneMetricsLineAStep(run, options.steps);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, KillTest,
    ::testing::Values(KilledRun{"Groups", tree::Criterion::kNone, false, 2, 3},
                      KilledRun{"Trees", tree::Criterion::kEarliest, false, 2, 3},
                      KilledRun{"AdaptiveTrees", tree::Criterion::kFci, true, 2, 3},
                      // Two responses: every fourth problem is solved.
                      KilledRun{"SolvedTrees", tree::Criterion::kFci, true, 6, 2},
                      KilledRun{"TwoDataSets", tree::Criterion::kNone, false, 2, 3, 1},
                      KilledRun{"AdaptiveTreesOfTwoDataSets", tree::Criterion::kFci, true, 2, 3,
                                2}),
    [](const auto& run) { return std::string(run.param.name); });

// Runs five batches in which nothing is right, killed after so many transactions (0: never), and
// returns what it logged on the way.
std::string LogOfARunWithoutAnAnswer(uint64_t kill_after, uint64_t* transactions) {
  SimulationOptions options{.problems = 2, .responses = 2};
  Simulation run(options);
  run.grade = [](const verifier::GradeRequest& request) {
    verifier::GradeResult result;
    result.id = request.id;
    result.status = verifier::GradeStatus::kNoAnswer;
    return result;
  };
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(run.Start().ok());
  run.KillAfter(kill_after);
  EXPECT_TRUE(run.RunToEnd());
  EXPECT_EQ(run.killed(), kill_after > 0);
  *transactions = run.transactions();
  return ::testing::internal::GetCapturedStderr();
}

TEST(Simulation, ARunThatEarnsNothingSaysSoOnceWhereverItIsKilled) {
  constexpr std::string_view kWords =
      "warning: no response of the first 3 batches was right (12 in all): 100 % had no \\boxed{} "
      "answer; ask for the answer in \\boxed{}";
  uint64_t transactions = 0, again = 0;
  const std::string log = LogOfARunWithoutAnAnswer(0, &transactions);
  EXPECT_THAT(log, HasSubstr(kWords));
  ASSERT_GT(transactions, 10u);
  for (uint64_t kill = 0; kill <= transactions; ++kill) {
    const std::vector<std::string> parts =
        absl::StrSplit(LogOfARunWithoutAnAnswer(kill, &again), std::string(kWords));
    EXPECT_EQ(parts.size(), 2u) << "killed after transaction " << kill;
  }
}

TEST(Simulation, ARunWithOneRightResponseSaysNothingOfItsFirstBatches) {
  Simulation run(SimulationOptions{});
  bool right = true;
  run.grade = [&](const verifier::GradeRequest& request) {
    verifier::GradeResult result;
    result.id = request.id;
    result.status = verifier::GradeStatus::kGraded;
    result.correct = std::exchange(right, false);
    return result;
  };
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), Not(HasSubstr("first 3 batches")));
}

TEST(Simulation, ATornLineIsCutAwayAndWrittenAgain) {
  SimulationOptions options;
  options.steps = 4;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  while (run.version < 2) run.Tick();
  run.learner_absent = true;
  run.Tick();  // lines that no commit has settled
  run.Kill();
  const auto events = run.Lines("events.jsonl");
  std::filesystem::resize_file(run.folder() + "/events.jsonl",
                               std::filesystem::file_size(run.folder() + "/events.jsonl") - 5);
  ASSERT_TRUE(run.Start().ok());
  EXPECT_EQ(run.Lines("events.jsonl"), events);
  run.learner_absent = false;
  ASSERT_TRUE(run.RunToEnd());
  ExpectOneMetricsLineAStep(run, 4);
  // One line an initial item, one its grading, one a training step: no more, no less.
  size_t trained = 0;
  for (const auto& line : run.Lines("events.jsonl"))
    trained += Json::parse(line)["kind"] == "train";
  size_t with_samples = 0;
  for (const auto& [number, batch] : run.batches()) with_samples += !batch.samples.empty();
  EXPECT_EQ(trained, with_samples);
  EXPECT_EQ(run.Lines("events.jsonl").size(),
            trained + size_t{2} * 4 * options.problems * options.responses);
}

TEST(Simulation, AResultWhoseAcknowledgementWasLostIsAcknowledgedAgain) {
  SimulationOptions options;
  options.workers = 1;
  options.credits = 1;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  run.RunLearner();
  SimulatedWorker& worker = run.workers()[0];
  run.RunWorker(worker);  // connects
  run.RunWorker(worker);  // takes a lease, sends the result
  ASSERT_EQ(worker.unacknowledged.size(), 1u);
  const ItemResult result = worker.unacknowledged.begin()->second;
  run.scheduler().Step();
  ASSERT_TRUE(run.scheduler().Receive(worker.session, result).ok());
  ASSERT_TRUE(run.scheduler().Receive(worker.session, result).ok());
  run.scheduler().Step();
  run.RunWorker(worker);
  EXPECT_EQ(worker.verdicts[result.lease], AckVerdict::kAccepted);
  EXPECT_EQ(run.scheduler().lease_counters().fenced, 0u);
  EXPECT_EQ(run.scheduler().lease_counters().duplicate, 2u);
  ASSERT_TRUE(run.RunToEnd());
}

}  // namespace
}  // namespace attnrl::scheduler::testing
