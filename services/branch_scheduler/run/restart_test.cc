// SPDX-License-Identifier: Apache-2.0
// A run that is opened again, after any fact: the next process finds what the one before knew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/testing/run_bench.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::ElementsAre;

// All that a run knows, a line each. `delivered` is no fact: the learner asks again.
std::string StateOf(RunBench& bench) {
  Run& run = bench.run();
  std::string state = absl::StrCat(
      run.committed(), " committed, W(", run.newest_version().value_or(Version{}).number,
      "), needs W(", run.OldestVersionNeeded(), "), ", run.empty_in_a_row(), " empty, started ",
      run.started(), ", finished ", run.finished(), ", workers ", absl::StrJoin(run.Workers(), " "),
      ", numerics ", run.numerics_id(), "\n", run.last_metrics(), "\n");
  if (const auto times = run.times(); times.has_value()) {
    absl::StrAppend(&state, run.batches_left(), " left, committed at ", times->commit,
                    ", checkpoint of ", times->checkpoint, "\n");
  }
  for (const BatchStatus& batch : run.Batches()) {
    absl::StrAppend(&state, "batch ", batch.batch, ": ", batch.graded, " of ", batch.problems,
                    " graded, initial ", batch.initial_done, " of ", batch.initial_total,
                    ", continuation ", batch.continuation_done, " of ", batch.continuation_total,
                    batch.phase == "sampling" ? ", sampling" : ", ready", "\n");
  }
  for (const auto& [item, version] : bench.open) {
    absl::StrAppend(&state, "open: ", Number(item), " under W(", version, ")\n");
  }
  for (const auto& [item, task] : bench.ungraded) {
    absl::StrAppend(&state, "ungraded: ", Number(item), " ", absl::StrJoin(*task.answers, ","));
    for (const auto& response : task.responses) {
      absl::StrAppend(&state, " ", bench.text.decode(response));
    }
    absl::StrAppend(&state, "\n");
  }
  return state;
}

class RestartTest : public ::testing::TestWithParam<SimulationOptions> {};

TEST_P(RestartTest, FindsTheSameStateAfterEveryFact) {
  RunBench bench(GetParam());
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  uint32_t epoch = bench.run().epoch();
  int facts = 0;
  const auto restart = [&](const char* after) {
    SCOPED_TRACE(absl::StrCat("after ", after, ", fact ", ++facts));
    const std::string before = StateOf(bench);
    ASSERT_EQ(bench.Open(), absl::OkStatus());
    EXPECT_EQ(bench.run().epoch(), ++epoch);
    ASSERT_EQ(StateOf(bench), before);
  };
  for (uint32_t batch = 0; batch < bench.options.steps && !HasFatalFailure(); ++batch) {
    ASSERT_EQ(bench.AnnounceVersion(batch), absl::OkStatus());
    restart("an announcement");
    // Both orders: everything sampled first, and each graded at once.
    while (batch % 2 == 0 && bench.SampleOne()) restart("a result");
    for (bool more = true; more && !HasFatalFailure();) {
      more = bench.SampleOne();
      restart("a result");
      while (bench.GradeOne()) {
        more = true;
        restart("a grade");
      }
    }
    ASSERT_TRUE(bench.Batch(batch).has_value()) << bench.reason;
    BatchCommit commit = CommitOf(batch, Digest(batch + 1));
    commit.checkpoint_step = batch;
    ASSERT_TRUE(bench.Commit(commit).ok());
    restart("a commit");
  }
  EXPECT_TRUE(bench.run().finished());
  EXPECT_GT(facts, 30);
}

SimulationOptions Sizes(pipeline::PipelineMode mode, tree::Criterion criterion, bool adaptive) {
  SimulationOptions sizes;
  sizes.mode = mode;
  sizes.criterion = criterion;
  sizes.adaptive = adaptive;
  sizes.steps = adaptive ? 5 : 3;
  sizes.problems = 3;
  sizes.responses = 2;
  return sizes;
}

INSTANTIATE_TEST_SUITE_P(
    Runs, RestartTest,
    ::testing::Values(Sizes(pipeline::PipelineMode::kOverlapped, tree::Criterion::kFci, true),
                      Sizes(pipeline::PipelineMode::kSequential, tree::Criterion::kEarliest, false),
                      Sizes(pipeline::PipelineMode::kOnPolicy, tree::Criterion::kNone, false)),
    [](const auto& run) { return absl::StrCat("Mode", static_cast<int>(run.param.mode)); });

// Replaces what is stored of an item by `change` of it.
void DamageRow(RunBench& bench, uint32_t batch, ItemId item,
               const std::function<void(Store::ResultRow&)>& change) {
  const std::vector<Store::ResultRow> rows = *bench.store().Results(batch);
  for (Store::ResultRow row : rows) {
    if (row.item != item) continue;
    change(row);
    ASSERT_EQ(bench.InTransaction([&]() -> absl::Status {
      ATTNRL_RETURN_IF_ERROR(bench.store().DeleteResult(item));
      ATTNRL_RETURN_IF_ERROR(bench.store().PutResult(row));
      if (!row.grades) return absl::OkStatus();
      return bench.store().PutGrades(item, *row.grades, row.grading);
    }),
              absl::OkStatus());
    return;
  }
  FAIL() << "nothing is stored of item " << Number(item);
}

void FlipABit(std::string& bytes) { bytes[bytes.size() / 2] ^= 4; }

TEST(Restart, SamplesAndGradesAgainWhatIsDamagedAndTheBatchIsTheSame) {
  for (const bool filtered : {false, true}) {
    SimulationOptions sizes;
    sizes.criterion = tree::Criterion::kFci;
    sizes.adaptive = filtered;
    RunBench undisturbed(sizes);
    ASSERT_EQ(undisturbed.Open(), absl::OkStatus());
    ASSERT_EQ(undisturbed.AnnounceVersion(0), absl::OkStatus());
    undisturbed.Work();
    const auto expected = undisturbed.Batch(0);
    ASSERT_TRUE(expected.has_value());
    const auto stored = *undisturbed.store().Results(0);
    for (const Store::ResultRow& each : stored) {
      for (const bool grades : {false, true}) {
        SCOPED_TRACE(absl::StrCat("item ", Number(each.item), grades ? ", its grades" : ""));
        RunBench bench(sizes);
        ASSERT_EQ(bench.Open(), absl::OkStatus());
        ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
        bench.Work();
        DamageRow(bench, 0, each.item,
                  [&](Store::ResultRow& row) { FlipABit(grades ? *row.grades : row.payload); });
        ASSERT_EQ(bench.Open(), absl::OkStatus());
        EXPECT_FALSE(bench.Batch(0).has_value()) << "something is missing again";
        ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
        bench.Work();
        EXPECT_EQ(bench.Batch(0), expected);
      }
    }
  }
}

TEST(Restart, ADamagedResultWhoseWeightsAreGoneIsTold) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  bench.Work();
  const ItemId item = IdOf({0, 0, 0, ItemKind::kInitial});
  DamageRow(bench, 0, item, [](Store::ResultRow& row) { FlipABit(row.payload); });
  std::filesystem::create_directories(bench.options.run_dir + "/checkpoints/step-1");
  const absl::Status status = bench.Open();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("of batch 0 is damaged, and W(0), which sampled it, is no"));
  std::filesystem::create_directories(bench.options.run_dir + "/weights/0");
  EXPECT_EQ(bench.Open(), absl::OkStatus());
}

TEST(Restart, AReplayOfADamagedBatchNamesTheItem) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  bench.TrainTo(1);
  const ItemId item = IdOf({0, 1, 2, ItemKind::kInitial});
  DamageRow(bench, 0, item, [](Store::ResultRow& row) { FlipABit(row.payload); });
  const absl::Status status = bench.run().Batch(0, nullptr).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_EQ(std::string(status.message()),
            absl::StrCat("item ", Number(item),
                         " of batch 0: a stored result doesn't have its checksum"));
}

TEST(Restart, RemembersBatchesWithoutSamplesAndTheNumericsId) {
  RunBench bench(SimulationOptions{.steps = 9, .all_correct = true});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  EXPECT_EQ(bench.run().numerics_id(), "");
  ASSERT_EQ(bench.InTransaction([&] { return bench.run().SetNumericsId("avx2"); }),
            absl::OkStatus());
  bench.TrainTo(3);
  EXPECT_EQ(bench.run().empty_in_a_row(), 3u);
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  EXPECT_EQ(bench.run().empty_in_a_row(), 3u);
  EXPECT_EQ(bench.run().numerics_id(), "avx2");
}

TEST(Restart, TimesAreThoseOfTheDatabase) {
  RunBench bench(SimulationOptions{.steps = 9});
  bench.checkpoint_every = 0;
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  EXPECT_FALSE(bench.run().times().has_value()) << "nothing was composed";
  const auto now = [&] { return UnixSeconds(bench.clock.Now()); };
  const auto open_later = [&] {
    bench.clock.Advance(absl::Hours(1));
    return bench.Open();
  };
  const double begun = now();
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  ASSERT_EQ(open_later(), absl::OkStatus());
  EXPECT_EQ(bench.run().times()->commit, begun);
  const double first = now();
  bench.TrainTo(1);
  bench.clock.Advance(absl::Hours(1));
  const double second = now();
  bench.TrainTo(2);
  ASSERT_EQ(bench.AnnounceVersion(2, 1), absl::OkStatus());
  ASSERT_EQ(open_later(), absl::OkStatus());
  EXPECT_EQ(bench.run().times()->commit, second);
  EXPECT_EQ(bench.run().times()->checkpoint, first) << "of the batch that ends in it";
  EXPECT_EQ(bench.run().batches_left(), 7u);
}

TEST(Restart, KeepsWhatAReplayNeedsAndForgetsTheRest) {
  SimulationOptions sizes{.criterion = tree::Criterion::kEarliest, .steps = 9};
  RunBench bench(sizes);
  bench.checkpoint_every = 0;
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  bench.TrainTo(5);
  const auto checkpoints = [&] { return *bench.store().Checkpoints(); };
  const auto replayable = [&](uint32_t batch) { return bench.run().Batch(batch, nullptr).ok(); };
  ASSERT_EQ(bench.AnnounceVersion(5, 4), absl::OkStatus());
  EXPECT_THAT(checkpoints(), ElementsAre(0, 4)) << "the start is a checkpoint";
  EXPECT_TRUE(replayable(0)) << "the newest may be damaged";
  ASSERT_EQ(bench.AnnounceVersion(5, 2), absl::OkStatus()) << "an older one than the newest";
  EXPECT_THAT(checkpoints(), ElementsAre(0, 2, 4));
  EXPECT_FALSE(replayable(1));
  EXPECT_TRUE(replayable(2));
  ASSERT_EQ(bench.AnnounceVersion(5, 9), absl::OkStatus()) << "of a step that isn't there yet";
  EXPECT_THAT(checkpoints(), ElementsAre(0, 2, 4));
  ASSERT_EQ(bench.AnnounceVersion(5, 3), absl::OkStatus());
  EXPECT_FALSE(replayable(2));
  EXPECT_TRUE(replayable(3));
  ASSERT_EQ(bench.AnnounceVersion(5, 3), absl::OkStatus()) << "again";
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  EXPECT_FALSE(replayable(2));
  EXPECT_TRUE(replayable(3));
  EXPECT_TRUE(bench.store().Results(2)->empty());
  EXPECT_FALSE(bench.store().Results(3)->empty());
  EXPECT_EQ(bench.store().Batches(0)->front().batch, 3u);
  EXPECT_EQ(bench.store().Versions()->begin()->first, 1u) << "which sampled batch 3";
  const std::vector<std::string> metrics = *bench.store().MetricsBefore(5);
  for (size_t batch = 0; batch < metrics.size(); ++batch) {
    EXPECT_FALSE(metrics[batch].empty()) << batch << " is one of the first three, or not forgotten";
  }
  bench.TrainTo(9);
}

TEST(Restart, ACheckpointIsRememberedByTheCommitThatReportsItAndByOneMadeAgain) {
  RunBench bench({});
  bench.checkpoint_every = 0;
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  bench.TrainTo(2);
  ASSERT_EQ(bench.AnnounceVersion(2), absl::OkStatus());
  bench.Work();
  BatchCommit commit = CommitOf(2, Digest(3));
  commit.checkpoint_step = 3;
  ASSERT_TRUE(bench.Commit(commit).ok());
  EXPECT_THAT(*bench.store().Checkpoints(), ElementsAre(0, 3));
  commit = CommitOf(1, Digest(2));
  commit.checkpoint_step = 2;
  ASSERT_TRUE(bench.Commit(commit).ok());
  EXPECT_THAT(*bench.store().Checkpoints(), ElementsAre(0, 2, 3));
}

TEST(Restart, AReplayOpensAndCountsNothing) {
  RunBench bench(SimulationOptions{.criterion = tree::Criterion::kEarliest, .steps = 9});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  bench.TrainTo(3);
  const std::string before = StateOf(bench);
  const uint64_t generated = bench.run().counters().generated_tokens;
  EXPECT_TRUE(bench.Batch(2).has_value());
  EXPECT_EQ(bench.InTransaction([] { return absl::OkStatus(); }), absl::OkStatus());
  EXPECT_EQ(StateOf(bench), before);
  EXPECT_EQ(bench.run().counters().generated_tokens, generated);
}

// ---- more steps than before

class ExtensionTest : public ::testing::Test {
 protected:
  void Train(uint32_t steps) {
    bench_.options.steps = steps;
    ASSERT_EQ(bench_.Open(), absl::OkStatus());
    bench_.TrainTo(steps);
  }
  void Reopen(uint32_t steps) {
    bench_.options.steps = steps;
    ASSERT_EQ(bench_.Open(), absl::OkStatus());
  }
  uint32_t BaseOf(uint32_t batch) { return bench_.Batch(batch).value_or(TrainingBatch{}).base; }

  RunBench bench_{SimulationOptions{.criterion = tree::Criterion::kEarliest}};
};

TEST_F(ExtensionTest, IsDecidedByWhatTheLearnerHoldsHoweverOftenTheSchedulerDiesBefore) {
  Train(2);
  for (int death = 0; death < 3; ++death) {
    Reopen(5);
    EXPECT_FALSE(bench_.run().started());
    EXPECT_TRUE(bench_.open.empty()) << "nothing is sampled before";
  }
  ASSERT_EQ(bench_.AnnounceVersion(2, 2), absl::OkStatus());
  EXPECT_TRUE(bench_.run().started());
  EXPECT_THAT(*bench_.store().Segments(), ElementsAre(std::pair(0, 0), std::pair(2, 2)));
  for (int death = 0; death < 2; ++death) {
    Reopen(5);
    EXPECT_TRUE(bench_.run().started()) << "it is decided once";
  }
  bench_.TrainTo(4);
  EXPECT_EQ(BaseOf(3), 2u);
}

TEST_F(ExtensionTest, IsOneAfterASingleStepToo) {
  Train(1);
  Reopen(3);
  EXPECT_FALSE(bench_.run().started());
  ASSERT_EQ(bench_.AnnounceVersion(1, 1), absl::OkStatus());
  EXPECT_THAT(*bench_.store().Segments(), ElementsAre(std::pair(0, 0), std::pair(1, 1)));
}

TEST_F(ExtensionTest, GoesOnInTheSegmentWhereTheEndHasNoCheckpoint) {
  Train(2);
  Reopen(5);
  ASSERT_EQ(bench_.AnnounceVersion(2, 0), absl::OkStatus());
  EXPECT_THAT(*bench_.store().Segments(), ElementsAre(std::pair(0, 0)));
  Reopen(5);
  bench_.TrainTo(4);
  EXPECT_EQ(BaseOf(3), 0u);
}

TEST_F(ExtensionTest, GoesOnInTheSegmentWhereTheLearnerHasOlderWeights) {
  Train(2);
  Reopen(5);
  BatchRequest request = RequestOf(1, 1);
  request.checkpoint_step = 2;
  ASSERT_EQ(bench_.Announce(request), absl::OkStatus());
  EXPECT_THAT(*bench_.store().Segments(), ElementsAre(std::pair(0, 0)));
}

TEST_F(ExtensionTest, ForgetsBatchesThatWereComposedWhenTheRunHadMoreSteps) {
  RunBench direct(SimulationOptions{.criterion = tree::Criterion::kEarliest});
  direct.options.steps = 2;
  ASSERT_EQ(direct.Open(), absl::OkStatus());
  direct.TrainTo(2);
  direct.options.steps = 5;
  ASSERT_EQ(direct.Open(), absl::OkStatus());
  direct.TrainTo(4);

  bench_.options.steps = 9;
  ASSERT_EQ(bench_.Open(), absl::OkStatus());
  bench_.TrainTo(2);
  bench_.Work();  // of batches 2 and 3, under the weights of the old segment
  Reopen(2);
  EXPECT_TRUE(bench_.run().finished());
  EXPECT_TRUE(bench_.open.empty());
  Reopen(5);
  bench_.TrainTo(4);
  for (uint32_t batch = 2; batch < 4; ++batch) EXPECT_EQ(bench_.Batch(batch), direct.Batch(batch));
}

}  // namespace
}  // namespace attnrl::scheduler::testing
