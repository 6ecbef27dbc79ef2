// SPDX-License-Identifier: Apache-2.0
// Whole runs: schedule and promises; kills are in kill_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "services/branch_scheduler/records/tree_files.h"
#include "services/branch_scheduler/records/verdicts.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Json = nlohmann::json;

SimulationOptions Branching(pipeline::PipelineMode mode = pipeline::PipelineMode::kOverlapped) {
  SimulationOptions options;
  options.mode = mode;
  options.criterion = tree::Criterion::kEarliest;
  return options;
}

// ---- the schedule, seen from the records

class ModeTest : public ::testing::TestWithParam<std::tuple<pipeline::PipelineMode, bool>> {};

TEST_P(ModeTest, EveryBatchHasTheLagsOfTheSchedule) {
  const auto [mode, branching] = GetParam();
  SimulationOptions options;
  options.mode = mode;
  options.criterion = branching ? tree::Criterion::kEarliest : tree::Criterion::kNone;
  options.steps = 6;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  const uint32_t initial = mode == pipeline::PipelineMode::kOverlapped   ? (branching ? 2 : 1)
                           : mode == pipeline::PipelineMode::kSequential ? 1
                                                                         : 0;
  const uint32_t continuation = mode == pipeline::PipelineMode::kOverlapped ? 1 : 0;
  uint32_t children = 0;
  for (uint32_t b = 0; b < options.steps; ++b) {
    const auto rows = run.Lines(absl::StrCat("trees/batch-", b, ".jsonl"));
    ASSERT_EQ(rows.size(), options.problems);
    for (const std::string& text : rows) {
      const Json row = Json::parse(text);
      for (const Json& response : row["responses"]) {
        EXPECT_EQ(response["version"], b < initial ? 0 : b - initial);
        EXPECT_EQ(response["digest"], Digest(response["version"].get<uint32_t>()));
        EXPECT_EQ(response["steps"].is_null(), !branching);
        for (const Json& branch : response["branches"]) {
          for (const Json& child : branch["children"]) {
            EXPECT_EQ(child["version"], b < continuation ? 0 : b - continuation);
            ++children;
          }
        }
      }
    }
    const Json metrics = Json::parse(run.Lines("metrics.jsonl")[b]);
    const uint32_t lag = std::min(b, initial);
    EXPECT_EQ(metrics["lag_initial"], Json::array({lag, lag}));
    EXPECT_EQ(metrics["lag_continuation"].is_null(), !branching);
  }
  EXPECT_EQ(children > 0, branching);
  EXPECT_EQ(run.scheduler().Status().state, RunState::kFinished);
  EXPECT_EQ(run.scheduler().Status().open_items, 0u) << "nothing is sampled beyond the end";
}

INSTANTIATE_TEST_SUITE_P(All, ModeTest,
                         ::testing::Combine(::testing::Values(pipeline::PipelineMode::kOverlapped,
                                                              pipeline::PipelineMode::kSequential,
                                                              pipeline::PipelineMode::kOnPolicy),
                                            ::testing::Bool()));

TEST(Simulation, OverlappedRunsTwoBatchesAheadAndNoFurther) {
  Simulation run(Branching());
  run.learner_absent = false;
  ASSERT_TRUE(run.Start().ok());
  run.RunLearner();  // announces W(0)
  const RunStatus status = run.scheduler().Status();
  ASSERT_EQ(status.batches.size(), 3u) << "batches 0, 1 and 2 are sampled under W(0)";
  EXPECT_EQ(status.open_items, 3u * 3 * 4);
}

// Of this process so far, whichever runs it had.
std::vector<double> CountedVerdicts() {
  std::vector<double> counts;
  for (const Word<Verdict>& each : WordsOf(Verdict{})) {
    counts.push_back(observe::GetCounter(observe::kSchedulerVerdictsTotal, {each.word}).Value());
  }
  return counts;
}

TEST(Simulation, EachLeafOfATrainedBatchIsCountedOnceByItsVerdict) {
  Simulation run(Branching());
  const std::vector<double> before = CountedVerdicts();
  ASSERT_TRUE(run.Start().ok());
  while (run.version < 2) ASSERT_TRUE(run.Tick());
  run.Kill();
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  const std::vector<double> after = CountedVerdicts();
  std::vector<double> lines(kVerdicts);
  for (const std::string& text : run.Lines("metrics.jsonl")) {
    const Json line = Json::parse(text);
    const VerdictCounts counts = ReadVerdicts(line).verdicts;
    EXPECT_EQ(counts.total(), line["leaves"]);
    EXPECT_DOUBLE_EQ(
        static_cast<double>(counts[Verdict::kCorrect]) / static_cast<double>(counts.total()),
        line["reward_mean"]);
    for (size_t i = 0; i < kVerdicts; ++i) {
      lines[i] += static_cast<double>(counts[static_cast<Verdict>(i)]);
    }
  }
  for (size_t i = 0; i < kVerdicts; ++i) EXPECT_EQ(after[i] - before[i], lines[i]) << i;
}

TEST(Simulation, SamplesCarryTheirPrefixAsItWasMeasured) {
  Simulation run(Branching());
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  uint32_t children = 0;
  for (const auto& [number, batch] : run.batches()) {
    const TrainingSample* parent = nullptr;
    for (const TrainingSample& sample : batch.samples) {
      uint32_t advantage_tokens = 0, version_tokens = 0;
      for (const AdvantageRun& piece : sample.advantages) advantage_tokens += piece.tokens;
      for (const VersionRun& piece : sample.versions) version_tokens += piece.tokens;
      EXPECT_EQ(advantage_tokens, sample.response_ids.size());
      EXPECT_EQ(version_tokens, sample.response_ids.size());
      EXPECT_EQ(sample.logprobs.size(), sample.response_ids.size());
      if (!sample.versions.back().continuation) {
        parent = &sample;
        continue;
      }
      ++children;
      const uint32_t split = sample.versions.front().tokens;
      ASSERT_EQ(parent->response, sample.response);
      for (uint32_t i = 0; i < split; ++i) {
        EXPECT_EQ(sample.response_ids[i], parent->response_ids[i]);
        EXPECT_EQ(sample.logprobs[i], parent->logprobs[i]);
      }
    }
  }
  EXPECT_GT(children, 0u);
}

TEST(Simulation, ASecondSchedulerInTheSameRunDirectoryIsRefused) {
  Simulation run({});
  ASSERT_TRUE(run.Start().ok());
  Simulation second(run.folder(), {});
  second.options().store.path = run.folder() + "/other.db";
  const absl::Status status = second.Start();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the branch-scheduler of " + run.folder() + ": in use by process "));
  EXPECT_FALSE(std::filesystem::exists(run.folder() + "/other.db"));
}

TEST(Simulation, ADatabaseOfAnEarlierStepIsRefusedAndTheRecordsStay) {
  Simulation run({});
  ASSERT_TRUE(run.Start().ok());
  while (run.Lines("metrics.jsonl").size() < 1) run.Tick();
  run.Kill();
  const std::string database = run.options().store.path;
  std::filesystem::copy_file(database, database + ".old");
  ASSERT_TRUE(run.Start().ok());
  while (run.Lines("metrics.jsonl").size() < 3) run.Tick();
  run.Kill();
  const auto metrics = run.Lines("metrics.jsonl"), events = run.Lines("events.jsonl");
  std::filesystem::rename(database, database + ".right");
  EXPECT_THAT(std::string(run.Start().message()), HasSubstr("scheduler.db: is missing, but"));
  EXPECT_FALSE(std::filesystem::exists(database)) << "nor is a new one made";
  std::filesystem::copy_file(database + ".old", database);
  EXPECT_THAT(std::string(run.Start().message()),
              HasSubstr("holds lines that the database doesn't know"));
  EXPECT_EQ(run.Lines("metrics.jsonl"), metrics);
  EXPECT_EQ(run.Lines("events.jsonl"), events);
  std::filesystem::rename(database + ".right", database);
  ASSERT_TRUE(run.Start().ok());
  EXPECT_TRUE(run.RunToEnd());
}

// ---- leases

TEST(Simulation, AZombiesLateWriteIsRefusedAndCounted) {
  SimulationOptions options;
  options.workers = 2;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& zombie = run.workers()[0];
  run.workers()[1].absent = true;
  zombie.silent = true;
  run.RunLearner();
  run.RunWorker(zombie);
  run.RunWorker(zombie);
  ASSERT_FALSE(zombie.leases.empty());
  const auto [lease, item] = *zombie.leases.begin();
  run.clock().Advance(absl::Seconds(61));
  run.workers()[1].absent = false;
  ASSERT_TRUE(run.RunToEnd());
  ASSERT_TRUE(run.scheduler().Receive(zombie.session, Simulation::Sample(item, lease, false)).ok());
  run.scheduler().Step();
  run.RunWorker(zombie);
  EXPECT_EQ(zombie.verdicts[lease], AckVerdict::kFenced);
  EXPECT_EQ(run.scheduler().lease_counters().fenced, 1u);
  EXPECT_GT(run.scheduler().lease_counters().expired, 0u);
}

TEST(Simulation, TreesMayBeCompressedAndOnlyTheNewestKept) {
  SimulationOptions options;
  uint64_t transactions = 0;
  const auto expected = Undisturbed(options, &transactions);
  Simulation run(options);
  run.options().compress_trees = true;
  run.options().trees_kept = 2;
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  EXPECT_EQ(run.batches(), expected);
  std::vector<std::string> names;
  for (const std::string& path : TreeFiles(run.folder() + "/trees")) {
    names.push_back(std::filesystem::path(path).filename().string());
  }
  EXPECT_THAT(names, ::testing::ElementsAre("batch-3.jsonl.zst", "batch-4.jsonl.zst"));
}

TEST(Simulation, ARunThatStandsStillSaysWhyInItsLog) {
  SimulationOptions options;
  options.workers = 1;
  options.credits = 1;
  Simulation run(options);
  const std::string log = run.folder() + "/scheduler.log";
  ASSERT_TRUE(observe::StartLog({.service = "scheduler", .file = log}).ok());
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& worker = run.workers()[0];
  worker.silent = true;
  run.RunLearner();
  run.RunWorker(worker);
  run.RunWorker(worker);
  ASSERT_EQ(worker.leases.size(), 1u);
  const LeaseId lease = worker.leases.begin()->first;
  const auto later = [&](int seconds) {
    run.clock().Advance(absl::Seconds(seconds));
    run.scheduler().Step();
  };
  later(0);
  later(20);
  ASSERT_TRUE(run.scheduler().Receive(worker.session, Renew{{lease}, {40}}).ok());
  later(0);  // a token is progress
  later(20);
  ASSERT_TRUE(run.scheduler().Receive(worker.session, Renew{{lease}, {40}}).ok());
  later(0);  // its renewal alone is none
  later(6);
  later(10);
  run.scheduler().Disconnect(worker.session);
  later(1);
  observe::StopLog();
  std::vector<Json> said;
  for (const std::string& line : run.Lines("scheduler.log")) {
    const Json record = Json::parse(line);
    if (record["message"] == "nothing has moved") said.push_back(record["fields"]);
  }
  ASSERT_EQ(said.size(), 2u) << "once a reason";
  EXPECT_EQ(said[0]["seconds"], 26);
  EXPECT_EQ(said[0]["obstacle"], "");
  EXPECT_THAT(said[0]["waits_for"].get<std::string>(),
              ContainsRegex(absl::StrCat(
                  "^batch 0, problem [^ ]+ at position 0: response 0, with ", worker.name,
                  " for 46 s, 40 tokens so far; room at a worker, for [0-9]+ items")));
  EXPECT_EQ(said[1]["obstacle"], "no worker is connected");
}

TEST(Simulation, WorkersMayComeAndGoAndZeroIsLegal) {
  SimulationOptions options;
  uint64_t transactions = 0;
  const auto expected = Undisturbed(options, &transactions);
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  for (auto& worker : run.workers()) worker.absent = true;
  for (int i = 0; i < 20; ++i) run.Tick();
  EXPECT_THAT(run.last_reason, HasSubstr("0 of 3 problems graded"));
  EXPECT_THAT(run.last_reason, HasSubstr("no worker is connected"));
  EXPECT_GT(run.scheduler().Status().open_items, 0u);
  // The first worker takes work and dies with it; its successor of the same name gets it at once.
  SimulatedWorker& first = run.workers()[0];
  first.absent = false;
  first.silent = true;
  run.RunWorker(first);
  run.RunWorker(first);
  ASSERT_FALSE(first.leases.empty());
  run.scheduler().Disconnect(first.session);
  first = SimulatedWorker{first.name};
  ASSERT_TRUE(run.RunToEnd());
  EXPECT_EQ(run.batches(), expected);
}

TEST(Simulation, ARestartedSchedulerWaitsForTheWorkersThatItKnowsAndKeepsTheirWork) {
  SimulationOptions options;
  options.credits = 3;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  for (int i = 0; i < 3; ++i) run.Tick();  // both have done something
  SimulatedWorker& slow = run.workers()[1];
  for (auto& worker : run.workers()) worker.silent = true;
  run.Tick();
  run.Tick();
  const auto held = slow.leases;
  ASSERT_FALSE(held.empty());
  run.Kill();
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& fast = run.workers()[0];
  run.RunWorker(fast);
  run.RunWorker(fast);
  run.scheduler().Step();
  EXPECT_EQ(run.scheduler().Status().active_leases, fast.leases.size()) << "only its own";
  run.RunWorker(slow);
  run.RunWorker(slow);
  for (const auto& [lease, item] : held) EXPECT_TRUE(slow.leases.contains(lease));
  EXPECT_EQ(run.scheduler().Status().active_leases, 2u * options.credits) << "the wait is over";
  for (auto& worker : run.workers()) worker.silent = false;
  ASSERT_TRUE(run.RunToEnd());
}

TEST(Simulation, GivenBackWorkIsDoneBySomebodyElse) {
  SimulationOptions options;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& leaving = run.workers()[0];
  leaving.silent = true;
  run.RunLearner();
  run.RunWorker(leaving);
  run.RunWorker(leaving);
  GiveBack back;
  for (const auto& [lease, item] : leaving.leases) back.leases.push_back(lease);
  ASSERT_FALSE(back.leases.empty());
  ASSERT_TRUE(run.scheduler().Receive(leaving.session, Credits{0}).ok());
  ASSERT_TRUE(run.scheduler().Receive(leaving.session, back).ok());
  run.scheduler().Step();
  EXPECT_EQ(run.scheduler().Status().active_leases, 0u);
  leaving.absent = true;
  ASSERT_TRUE(run.RunToEnd());
  EXPECT_EQ(run.scheduler().lease_counters().expired, 0u);
}

TEST(Simulation, ADeterministicRunRemembersItsNumericsThroughARestart) {
  SimulationOptions options;
  options.deterministic = true;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  for (int i = 0; i < 3; ++i) run.Tick();
  run.Kill();
  ASSERT_TRUE(run.Start().ok());
  Register other;
  other.worker = "other";
  other.numerics_id = "another machine";
  EXPECT_EQ(run.scheduler().Connect(other).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(run.RunToEnd());
}

}  // namespace
}  // namespace attnrl::scheduler::testing
