// SPDX-License-Identifier: Apache-2.0
#include "services/learner/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "common/base/status.h"
#include "services/learner/testing/loop_life.h"
#include "services/learner/testing/memory_ranks.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

TEST_F(LoopTest, StepZeroIsWrittenBeforeAnythingIsAsked) {
  Life life(model_.path(), run_.path());
  ASSERT_TRUE(life.Prepare().ok());
  EXPECT_TRUE(Exists("checkpoints/step-0/model.safetensors"));
  EXPECT_EQ(life.versions->Newest()->number, 0u);
  EXPECT_TRUE(life.batches.requests().empty());
}

TEST_F(LoopTest, ARunThatDiedBeforeItsFirstCheckpointWasCompleteBeginsAnew) {
  const auto expected = Undisturbed(2);
  {
    Life life(model_.path(), run_.path());
    const auto bits = ToVersionData(0, life.trainer->parameters().OnHost());
    ASSERT_TRUE(life.versions->Publish(std::make_shared<const VersionData>(bits)).ok());
  }
  Life life(model_.path(), run_.path());
  life.AddBatches(2);
  const absl::Status status = life.PrepareAndRun();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Exists("checkpoints/step-0/model.safetensors"));
  EXPECT_EQ(life.Digests(), expected);
}

TEST_F(LoopTest, RegistersBeforeItSpeaksOfAnyBatch) {
  Life life(model_.path(), run_.path(), {.name = "me"});
  life.batches.Cancel();
  EXPECT_TRUE(absl::IsCancelled(life.PrepareAndRun()));
  EXPECT_THAT(life.batches.learners(), ::testing::ElementsAre("me"));
  EXPECT_TRUE(life.batches.requests().empty());
}

// Another rank's end is seen once something is sent to it, as over TCP.
class MortalGroup final : public RankGroup {
 public:
  explicit MortalGroup(RankGroup& group) : group_(group) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::unique_ptr<Transfer> Send(const at::Tensor& tensor, int to) override {
    if (dead) throw RankError("rank 1 has closed its connection");
    return group_.Send(tensor, to);
  }
  std::unique_ptr<Transfer> Receive(const at::Tensor& tensor, int from) override {
    return group_.Receive(tensor, from);
  }

  bool dead = false;

 private:
  RankGroup& group_;
};

TEST_F(LoopTest, TheOtherRanksHearSignsOfLifeWhileTheSchedulerIsAwayAtTheStart) {
  RunRanks(2, [&](RankGroup& group) {
    if (group.rank() == 0) {
      Life life(model_.path(), run_.path(), {}, at::kCPU, &group);
      life.AddBatches(1);
      life.batches.KeepWaitingOnce();
      const absl::Status status = life.PrepareAndRun();
      // So that the other rank doesn't wait for ever.
      if (!status.ok()) throw std::runtime_error(std::string(status.message()));
      return;
    }
    const auto trainer = TinyTrainer(model_.path(), TinyOptions(), model::DType::kFloat32, &group);
    int heard = 0;  // signs of life, and the batch
    const absl::Status followed = trainer->Follow([&heard] {
      ++heard;
      return false;
    });
    EXPECT_TRUE(followed.ok()) << followed;
    EXPECT_GE(heard, 2);
  });
}

TEST_F(LoopTest, ARankThatIsGoneEndsTheWaitForASchedulerThatIsAwayAtTheStart) {
  RunRanks(2, [&](RankGroup& memory) {
    MortalGroup group(memory);
    if (group.rank() != 0) {
      const auto trainer =
          TinyTrainer(model_.path(), TinyOptions(), model::DType::kFloat32, &group);
      EXPECT_TRUE(absl::IsUnavailable(trainer->Follow(nullptr)));
      return;
    }
    Life life(model_.path(), run_.path(), {}, at::kCPU, &group);
    life.AddBatches(1);
    life.batches.KeepWaitingOnce();
    if (!life.Prepare().ok()) throw std::runtime_error("the learner can't begin");
    group.dead = true;
    EXPECT_THAT(life.loop.Run().message(), ::testing::HasSubstr("rank 1 has closed"));
    EXPECT_TRUE(life.batches.requests().empty());
    group.dead = false;
    EXPECT_TRUE(life.trainer->Release(/*finished=*/false).ok());
  });
}

TEST_F(LoopTest, EndsWhenAnotherLearnerHasTakenOver) {
  Life life(model_.path(), run_.path(), {.checkpoint_every = 1});
  life.AddBatches(2);
  life.observer.on_done = [&](const StepReport&) {
    life.batches.FailNext(absl::AbortedError("another learner has taken over"));
  };
  EXPECT_TRUE(absl::IsAborted(life.PrepareAndRun()));
  EXPECT_EQ(life.batches.commits().size(), 1u);
}

TEST_F(LoopTest, EveryBatchMakesTheNextVersionAndTheRunEndsWithACheckpoint) {
  Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
  life.AddBatches(5);
  const absl::Status status = life.PrepareAndRun();
  ASSERT_TRUE(status.ok()) << status;
  const auto commits = life.batches.commits();
  ASSERT_EQ(commits.size(), 5u);
  for (uint32_t b = 0; b < 5; ++b) {
    EXPECT_EQ(commits[b].batch, b);
    EXPECT_EQ(commits[b].version.number, b + 1);
    // It is complete at some time after the batch that makes it; at the end it is waited for.
    EXPECT_LE(commits[b].checkpoint_step, b == 4 ? 5 : (b + 1) / 2 * 2);
    EXPECT_GE(commits[b].checkpoint_step, b == 4 ? 5 : (b < 3 ? 0 : 2));
    EXPECT_FALSE(commits[b].replayed);
    EXPECT_TRUE(commits[b].statistics.train.has_value());
    EXPECT_TRUE(commits[b].statistics.sync.has_value());
    EXPECT_TRUE(b < 4 || commits[b].statistics.checkpoint.has_value());
    EXPECT_EQ(life.batches.requests()[b].version.number, b);
  }
  for (const char* name : {"step-0", "step-2", "step-4", "step-5"}) {
    EXPECT_TRUE(Exists(std::string("checkpoints/") + name)) << name;
  }
  EXPECT_EQ(ReadVersionFile(life.checkpoints->ModelFile(5))->version.digest,
            commits[4].version.digest);
  EXPECT_NE(commits[0].version.digest, commits[1].version.digest);
}

TEST_F(LoopTest, ASkippedBatchPublishesTheBitsBefore) {
  Life life(model_.path(), run_.path());
  life.AddBatches(3);
  auto skipped = TinyBatch(1);
  skipped.samples.clear();
  life.batches.Add(skipped);
  ASSERT_TRUE(life.PrepareAndRun().ok());
  EXPECT_EQ(life.Digests().at(2), life.Digests().at(1));
  EXPECT_NE(life.Digests().at(3), life.Digests().at(2));
  EXPECT_FALSE(life.batches.commits()[1].statistics.train.has_value());
}

TEST_F(LoopTest, ABatchOffTheScheduleIsRefused) {
  Life life(model_.path(), run_.path());
  auto batch = TinyBatch(0);
  batch.batch = 0;
  life.batches.Add(batch);
  auto late = TinyBatch(1);
  late.samples[2].versions[0].version = 0;
  life.batches.Add(late);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(life.observer.refused, 1);
  EXPECT_EQ(life.batches.commits().size(), 1u);
  EXPECT_EQ(life.versions->Newest()->number, 1u);
}

TEST_F(LoopTest, OldVersionsAndCheckpointsGo) {
  Life life(model_.path(), run_.path(), {.checkpoint_every = 2, .checkpoints_kept = 1});
  life.AddBatches(9);
  ASSERT_TRUE(life.PrepareAndRun().ok());
  EXPECT_TRUE(Exists("checkpoints/step-0"));
  EXPECT_TRUE(Exists("checkpoints/step-9"));
  EXPECT_FALSE(Exists("checkpoints/step-2"));
  EXPECT_FALSE(Exists("checkpoints/step-4"));
  EXPECT_FALSE(Exists("weights/1"));
  EXPECT_FALSE(Exists("weights/5"));
  EXPECT_TRUE(life.versions->Read({8, ""}).ok());
}

TEST_F(LoopTest, NoSpanIsTurnedRoundByAWallClockThatIsSetBack) {
  Life life(model_.path(), run_.path(), {.checkpoint_every = 1});
  life.AddBatches(3);
  // Each checkpoint is begun by one step and found complete by the next.
  life.observer.on_done = [&](const StepReport&) { life.clock.Jump(-absl::Hours(1)); };
  ASSERT_TRUE(life.PrepareAndRun().ok());
  size_t checkpoints = 0;
  for (const auto& commit : life.batches.commits()) {
    const scheduler::TrainStatistics& statistics = commit.statistics;
    for (const auto& span : {statistics.train, statistics.sync, statistics.checkpoint}) {
      if (span) {
        EXPECT_LE(span->start, span->end);
      }
    }
    checkpoints += statistics.checkpoint.has_value() ? 1 : 0;
  }
  EXPECT_GT(checkpoints, 0u);
}

// Whatever is done between two looks at it takes an hour or more.
class SlowClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch() + Monotonic(); }
  absl::Duration Monotonic() const override { return absl::Hours(++looks_); }
  void Sleep(absl::Duration) override {}

 private:
  mutable std::atomic<int64_t> looks_ = 0;
};

TEST_F(LoopTest, TheWaitForADiskIsPartOfTheCheckpointsPause) {
  Life life(model_.path(), run_.path());
  const SlowClock clock;
  LearnerLoop loop(Life::Complete({.checkpoint_every = 1}, model_.path()), *life.trainer,
                   *life.checkpoints, *life.versions, life.batches, clock, life.observer);
  life.AddBatches(2);
  ASSERT_TRUE(loop.Prepare(std::nullopt).ok());
  ASSERT_TRUE(loop.Run().ok());
  ASSERT_EQ(life.observer.reports.size(), 2u);
  EXPECT_EQ(life.observer.reports[1].checkpoint, 2u);
  EXPECT_GE(life.observer.reports[1].checkpoint_pause_seconds, 3600);
  EXPECT_LT(life.trainer->copy_time(), absl::Hours(1)) << "of the real clock";
}

// Of 12 responses each, most right in the batches 2 and 3: behind them is the best checkpoint.
void AddBatchesWithAPeak(Life* life, uint32_t steps) {
  for (uint32_t b = 0; b < steps; ++b) {
    auto batch = TinyBatch(b, 3, b + 1 == steps);
    batch.graded_responses = 12;
    batch.right_responses = b == 2 || b == 3 ? 11 : 1;
    life->batches.Add(std::move(batch));
  }
}

TEST_F(LoopTest, TheBestCheckpointStaysThroughRestartsAndIsTold) {
  const LoopOptions options = {.checkpoint_every = 2, .checkpoints_kept = 1, .checkpoints_best = 1};
  for (const std::optional<uint32_t> killed : {std::optional<uint32_t>(), {6u}, {7u}}) {
    TemporaryFolder run;
    if (killed.has_value()) {
      Life life(model_.path(), run.path(), options);
      AddBatchesWithAPeak(&life, 11);
      life.DieAfter(*killed);
      EXPECT_FALSE(life.PrepareAndRun().ok());
    }
    Life life(model_.path(), run.path(), options);
    AddBatchesWithAPeak(&life, 11);
    if (killed.has_value()) life.batches.CommittedBefore(*killed + 1);
    const absl::Status status = life.PrepareAndRun();
    ASSERT_TRUE(status.ok()) << status;
    const auto best = life.batches.commits().back().best;
    ASSERT_TRUE(best.has_value());
    EXPECT_EQ(best->step, 4u);
    EXPECT_DOUBLE_EQ(best->accuracy, (0.729 * 1 + 0.81 * 1 + 0.9 * 11 + 11) / (12 * 3.439));
    EXPECT_TRUE(fs::exists(run / "checkpoints/step-4/model.safetensors"));
    EXPECT_TRUE(life.versions->Read({4, ""}).ok()) << "its version is still served";
    for (const char* gone : {"step-2", "step-6"}) {
      EXPECT_FALSE(fs::exists(run / (std::string("checkpoints/") + gone))) << gone;
    }
  }
}

TEST_F(LoopTest, NoCheckpointIsTheBestWhereNoneIsKeptForThat) {
  Life life(model_.path(), run_.path(),
            {.checkpoint_every = 2, .checkpoints_kept = 1, .checkpoints_best = 0});
  AddBatchesWithAPeak(&life, 11);
  ASSERT_TRUE(life.PrepareAndRun().ok());
  for (const auto& commit : life.batches.commits()) EXPECT_EQ(commit.best, std::nullopt);
  EXPECT_FALSE(Exists("checkpoints/step-4"));
}

TEST_F(LoopTest, OtherDataBeginAnAccuracyOfTheirOwn) {
  Life life(model_.path(), run_.path(),
            {.checkpoint_every = 2, .checkpoints_best = 1, .new_data = {0, 6}});
  AddBatchesWithAPeak(&life, 11);
  ASSERT_TRUE(life.PrepareAndRun().ok());
  EXPECT_EQ(life.batches.commits().back().best, (scheduler::BestCheckpoint{11, 1.0 / 12}))
      << "of equal ones of the later data the newest";
  EXPECT_FALSE(Exists("checkpoints/step-4"));
}

TEST_F(LoopTest, StopWhileWaitingWritesACheckpointAndEndsWell) {
  {
    Life life(model_.path(), run_.path());
    life.batches.Add(TinyBatch(0));
    std::thread stopper;
    life.observer.on_waiting = [&] { stopper = std::thread([&life] { life.loop.Stop(); }); };
    const absl::Status status = life.PrepareAndRun();
    stopper.join();
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_FALSE(life.loop.finished());
    EXPECT_TRUE(Exists("checkpoints/step-1"));
  }
  Life life(model_.path(), run_.path());
  life.AddBatches(2);
  ASSERT_TRUE(life.PrepareAndRun().ok());
  EXPECT_TRUE(life.loop.finished());
  EXPECT_EQ(life.Digests(), Undisturbed(2));
}

TEST_F(LoopTest, ARunWithMoreStepsGoesOnFromItsEnd) {
  {
    Life life(model_.path(), run_.path());
    life.AddBatches(2);
    ASSERT_TRUE(life.PrepareAndRun().ok());
  }
  Life life(model_.path(), run_.path());
  for (uint32_t b = 0; b < 4; ++b) {
    auto batch = TinyBatch(b, 3, b == 3);
    batch.base = b < 2 ? 0 : 2;
    life.batches.Add(batch);
  }
  ASSERT_TRUE(life.PrepareAndRun().ok());
  EXPECT_EQ(life.observer.reports.size(), 2u);
  EXPECT_EQ(life.Digests().at(4), Undisturbed(4).at(4));
}

TEST_F(LoopTest, ARunOfNothingButStepsThatAreNotFiniteEndsWithAnError) {
  Life life(model_.path(), run_.path(), {.nonfinite_folder = run_.path() + "/nonfinite"});
  life.trainer->parameters().values().fill_(NAN);
  life.trainer->parameters().Refresh();
  life.AddBatches(2);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_EQ(life.batches.commits().size(), 1u) << "the run is not finished";
  EXPECT_TRUE(Exists("nonfinite/batch-1.jsonl"));
}

}  // namespace
}  // namespace attnrl::learner
