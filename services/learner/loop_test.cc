// SPDX-License-Identifier: Apache-2.0
#include "services/learner/loop.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/testing/fake_batch_source.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/journal.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

class RecordingObserver final : public LoopObserver {
 public:
  void Waiting(uint32_t, const std::string&) override {
    if (on_waiting) on_waiting();
  }
  void Refused(uint32_t, const absl::Status&) override { ++refused; }
  void Done(const StepReport& report) override {
    reports.push_back(report);
    if (on_done) on_done(report);
  }

  std::function<void()> on_waiting;
  std::function<void(const StepReport&)> on_done;
  std::vector<StepReport> reports;
  int refused = 0;
};

// One life of a learner process over the files of a run.
struct Life {
  Life(const std::string& model, const std::string& run, LoopOptions options = {})
      : trainer(TinyTrainer(model, TinyOptions())),
        checkpoints(CheckpointStore::Open(run).value()),
        versions(VersionStore::Open(run).value()),
        loop(Complete(std::move(options), model), *trainer, *checkpoints, *versions, batches, clock,
             observer) {}

  static LoopOptions Complete(LoopOptions options, const std::string& model) {
    options.schedule = {pipeline::PipelineMode::kOnPolicy, false};
    options.model_folder = model;
    return options;
  }
  absl::Status PrepareAndRun() {
    absl::Status status = loop.Prepare();
    return status.ok() ? loop.Run() : status;
  }
  void AddBatches(uint32_t steps) {
    for (uint32_t b = 0; b < steps; ++b) batches.Add(TinyBatch(b, 3, b + 1 == steps));
  }
  // Ends the life after `batch` as kill -9 would: nothing more is written.
  void DieAfter(uint32_t batch) {
    observer.on_done = [this, batch](const StepReport& report) {
      if (report.batch == batch) batches.FailNext(absl::InternalError("killed"));
    };
  }
  std::map<uint32_t, std::string> Digests() const {
    std::map<uint32_t, std::string> digests;
    for (const auto& commit : batches.commits()) {
      digests[commit.version.number] = commit.version.digest;
    }
    return digests;
  }

  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<CheckpointStore> checkpoints;
  std::unique_ptr<VersionStore> versions;
  scheduler::FakeBatchSource batches;
  FakeClock clock;
  RecordingObserver observer;
  LearnerLoop loop;
};

class LoopTest : public ::testing::Test {
 protected:
  LoopTest() { WriteTinyModel(model_.path()); }

  // The digests of an undisturbed run.
  std::map<uint32_t, std::string> Undisturbed(uint32_t steps, const LoopOptions& options = {}) {
    TemporaryFolder run;
    Life life(model_.path(), run.path(), options);
    life.AddBatches(steps);
    EXPECT_TRUE(life.PrepareAndRun().ok());
    return life.Digests();
  }
  bool Exists(const std::string& path) const { return fs::exists(run_.path() + "/" + path); }

  TemporaryFolder model_, run_;
};

TEST_F(LoopTest, StepZeroIsWrittenBeforeAnythingIsAsked) {
  Life life(model_.path(), run_.path());
  ASSERT_TRUE(life.loop.Prepare().ok());
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

TEST_F(LoopTest, AVersionThatIsNeededAndLostEndsTheLearnerByName) {
  {
    Life life(model_.path(), run_.path(), {.checkpoint_every = 3});
    life.AddBatches(6);
    life.DieAfter(2);
    EXPECT_FALSE(life.PrepareAndRun().ok());
  }
  fs::remove_all(run_.path() + "/weights/2");
  Life life(model_.path(), run_.path(), {.checkpoint_every = 3});
  life.AddBatches(6);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(status.message(), ::testing::HasSubstr("W(2) is damaged or lost"));
  // What the message says helps.
  fs::remove_all(run_.path() + "/checkpoints/step-3");
  Life next(model_.path(), run_.path(), {.checkpoint_every = 3});
  next.AddBatches(6);
  EXPECT_TRUE(next.PrepareAndRun().ok());
  EXPECT_EQ(next.observer.reports.front().batch, 0u);
}

TEST_F(LoopTest, AKilledLearnerReplaysFromItsCheckpointAndEndsWithTheSameBits) {
  const auto expected = Undisturbed(6, {.checkpoint_every = 3});
  for (uint32_t last : {0u, 1u, 3u, 4u}) {
    TemporaryFolder run;
    {
      Life life(model_.path(), run.path(), {.checkpoint_every = 3});
      life.AddBatches(6);
      life.DieAfter(last);
      EXPECT_FALSE(life.PrepareAndRun().ok());
    }
    Life life(model_.path(), run.path(), {.checkpoint_every = 3});
    life.AddBatches(6);
    life.batches.CommittedBefore(last + 1);
    const absl::Status status = life.PrepareAndRun();
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(life.Digests().at(6), expected.at(6));
    EXPECT_EQ(life.trainer->counters().replay_mismatches, 0);
    for (const StepReport& report : life.observer.reports) {
      EXPECT_EQ(report.replayed, report.batch <= last) << report.batch;
      EXPECT_EQ(report.version.digest, expected.at(report.batch + 1));
    }
    EXPECT_EQ(life.observer.reports.front().batch, last < 2 ? 0u : 3u);
  }
}

TEST_F(LoopTest, ACommitThatWasLostIsMadeAgain) {
  double loss = 0;
  {
    // Batch 1 ends with the checkpoint of step 2; the commit behind it fails.
    Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
    life.batches.Add(TinyBatch(0));
    std::thread other;
    life.observer.on_waiting = [&] {
      // The request of batch 1 is out: what fails next is its commit.
      other = std::thread([&life] {
        life.batches.FailNext(absl::InternalError("killed"));
        life.batches.Add(TinyBatch(1));
      });
    };
    ASSERT_TRUE(life.loop.Prepare().ok());
    EXPECT_FALSE(life.loop.Run().ok());
    other.join();
    ASSERT_EQ(life.batches.commits().size(), 2u);
    loss = life.batches.commits()[1].statistics.loss;
  }
  EXPECT_TRUE(Exists("checkpoints/step-2"));
  Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
  life.AddBatches(3);
  ASSERT_TRUE(life.PrepareAndRun().ok());
  const auto commits = life.batches.commits();
  ASSERT_EQ(commits.size(), 2u);
  EXPECT_EQ(commits[0].batch, 1u);
  EXPECT_EQ(commits[0].version.number, 2u);
  EXPECT_EQ(commits[0].statistics.loss, loss);
  EXPECT_EQ(commits[1].batch, 2u);
}

TEST_F(LoopTest, PublishedBitsStayWhenAReplayEndsWithOthers) {
  {
    Life life(model_.path(), run_.path());
    life.AddBatches(4);
    life.DieAfter(1);
    EXPECT_FALSE(life.PrepareAndRun().ok());
  }
  // As if another processor had published W(2): other bits, under a digest of their own.
  auto versions = VersionStore::Open(run_.path()).value();
  model::Tensors other = ToTensors(**versions->Read({2, ""}));
  other.begin()->second.add_(0.25);
  const std::string digest = ToVersionData(2, other).version.digest;
  ASSERT_TRUE(
      model::WriteSafetensors(run_.path() + "/weights/2/model.safetensors", other, {}).ok());
  Journal journal = ReadJournal(run_.path() + "/weights/published.json").value();
  journal[2] = digest;
  ASSERT_TRUE(WriteJournal(run_.path() + "/weights/published.json", journal).ok());

  Life life(model_.path(), run_.path());
  life.AddBatches(4);
  auto skipped = TinyBatch(2);
  skipped.samples.clear();
  life.batches.Add(skipped);
  const absl::Status status = life.PrepareAndRun();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(life.trainer->counters().replay_mismatches, 1);
  EXPECT_EQ(life.Digests().at(2), digest);
  EXPECT_TRUE(life.observer.reports[1].mismatch);
  // A skipped batch publishes what was published before, training goes on from the masters.
  EXPECT_EQ(life.Digests().at(3), digest);
  EXPECT_EQ(life.Digests().at(4), [this] {
    TemporaryFolder run;
    Life undisturbed(model_.path(), run.path());
    undisturbed.AddBatches(4);
    auto empty = TinyBatch(2);
    empty.samples.clear();
    undisturbed.batches.Add(empty);
    EXPECT_TRUE(undisturbed.PrepareAndRun().ok());
    return undisturbed.Digests().at(4);
  }());
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

TEST_F(LoopTest, ADamagedCheckpointFallsBackAndIsMadeAgain) {
  const auto expected = Undisturbed(5, {.checkpoint_every = 2});
  {
    Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
    life.AddBatches(5);
    life.DieAfter(3);
    EXPECT_FALSE(life.PrepareAndRun().ok());
  }
  std::ofstream(run_.path() + "/checkpoints/step-4/trainer/masters.safetensors") << "short";
  Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
  life.AddBatches(5);
  life.batches.CommittedBefore(4);
  const absl::Status status = life.PrepareAndRun();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(life.observer.reports.front().batch, 2u);
  EXPECT_TRUE(Exists("checkpoints/step-4"));
  EXPECT_EQ(life.Digests().at(5), expected.at(5));
}

// A run of five batches that died behind its checkpoint of step 4, which is damaged, and whose bits
// training here doesn't make again. The digest of W(4).
class LostVersionTest : public LoopTest {
 protected:
  std::string Damaged() {
    {
      Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
      life.AddBatches(5);
      life.DieAfter(3);
      EXPECT_FALSE(life.PrepareAndRun().ok());
    }
    const std::string step = run_.path() + "/checkpoints/step-4";
    fs::remove_all(run_.path() + "/weights/4");  // the checkpoint may not have been adopted yet
    model::Tensors other = ToTensors(ReadVersionFile(step + "/model.safetensors").value());
    other.begin()->second.add_(0.25);
    EXPECT_TRUE(model::WriteSafetensors(step + "/model.safetensors", other, {}).ok());
    const std::string digest = ToVersionData(4, other).version.digest;
    const std::string path = run_.path() + "/weights/published.json";
    Journal journal = ReadJournal(path).value();
    journal[4] = digest;
    EXPECT_TRUE(WriteJournal(path, journal).ok());
    return digest;
  }
};

TEST_F(LostVersionTest, ComesFromTheCheckpointThatWasSetAsideWhereItsModelIsIntact) {
  const std::string digest = Damaged();
  Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
  life.AddBatches(5);
  life.batches.CommittedBefore(4);
  const absl::Status status = life.PrepareAndRun();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(life.trainer->counters().replay_mismatches, 1);
  EXPECT_EQ(life.Digests().at(4), digest);
  EXPECT_EQ(ReadVersionFile(life.checkpoints->ModelFile(4))->version.digest, digest);
}

TEST_F(LostVersionTest, EndsTheLearnerByNameWhereItIsStillNeeded) {
  Damaged();
  fs::remove(run_.path() + "/checkpoints/step-4/model.safetensors");
  Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
  life.AddBatches(5);
  life.batches.CommittedBefore(4);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(status.message(), ::testing::HasSubstr("W(4) is lost but still needed"));
}

TEST_F(LostVersionTest, IsLeftAloneWhereNobodyNeedsIt) {
  Damaged();
  fs::remove(run_.path() + "/checkpoints/step-4/model.safetensors");
  Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
  life.AddBatches(5);
  life.batches.CommittedBefore(5);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(LoopTest, WithoutASoundJournalTheRunEndsWithTheSameBits) {
  const auto expected = Undisturbed(5, {.checkpoint_every = 2});
  for (const char* content : std::initializer_list<const char*>{"", "{\"versions\":", nullptr}) {
    TemporaryFolder run;
    {
      Life life(model_.path(), run.path(), {.checkpoint_every = 2});
      life.AddBatches(5);
      life.DieAfter(2);
      EXPECT_FALSE(life.PrepareAndRun().ok());
    }
    const std::string journal = run / "weights/published.json";
    if (content == nullptr) {
      fs::remove(journal);
    } else {
      std::ofstream(journal) << content;
    }
    Life life(model_.path(), run.path(), {.checkpoint_every = 2});
    life.AddBatches(5);
    life.batches.CommittedBefore(3);
    const absl::Status status = life.PrepareAndRun();
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(life.Digests().at(5), expected.at(5));
  }
}

TEST_F(LoopTest, ARunOfNothingButStepsThatAreNotFiniteEndsWithAnError) {
  Life life(model_.path(), run_.path(), {.nonfinite_folder = run_.path() + "/nonfinite"});
  life.trainer->parameters().values().fill_(NAN);
  life.trainer->parameters().Refresh();
  life.AddBatches(2);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(life.batches.commits().size(), 1u) << "the run is not finished";
  EXPECT_TRUE(Exists("nonfinite/batch-1.jsonl"));
}

}  // namespace
}  // namespace attnrl::learner
