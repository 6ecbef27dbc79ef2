// SPDX-License-Identifier: Apache-2.0
// What a learner makes of what an earlier life of it left behind.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <thread>

#include "common/base/status.h"
#include "common/storage/digest.h"
#include "services/learner/testing/loop_life.h"
#include "services/learner/versions/journal.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

// A run of six batches, whose learner dies after the commit of batch `last`.
void TrainAndDie(const std::string& model, const std::string& run, const LoopOptions& options,
                 uint32_t last) {
  Life life(model, run, options);
  life.AddBatches(6);
  life.DieAfter(last);
  EXPECT_FALSE(life.PrepareAndRun().ok());
}

TEST_F(LoopTest, AVersionThatIsNeededAndLostEndsTheLearnerByName) {
  TrainAndDie(model_.path(), run_.path(), {.checkpoint_every = 3}, 2);
  fs::remove_all(run_.path() + "/weights/2");
  Life life(model_.path(), run_.path(), {.checkpoint_every = 3});
  life.AddBatches(6);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(status.message(), ::testing::HasSubstr("W(2) is damaged or lost"));
  // What the message says helps.
  fs::remove_all(run_.path() + "/checkpoints/step-3");
  Life next(model_.path(), run_.path(), {.checkpoint_every = 3});
  next.AddBatches(6);
  EXPECT_TRUE(next.PrepareAndRun().ok());
  EXPECT_EQ(next.observer.reports.front().batch, 0u);
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The last byte of a file becomes another one.
void Damage(const std::string& path) {
  std::string bytes = ReadWhole(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_F(LoopTest, AVersionThatIsNeededAndDamagedInAnOlderCheckpointEndsTheLearnerByName) {
  const LoopOptions options = {.checkpoint_every = 1, .checkpoints_kept = 3};
  TrainAndDie(model_.path(), run_.path(), options, 2);
  Damage(run_.path() + "/checkpoints/step-2/model.safetensors");
  Life life(model_.path(), run_.path(), options);
  life.AddBatches(6);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(status.message(), ::testing::HasSubstr("W(2) is damaged or lost"));
  fs::remove_all(run_.path() + "/checkpoints/step-3");
  Life next(model_.path(), run_.path(), options);
  next.AddBatches(6);
  EXPECT_TRUE(next.PrepareAndRun().ok());
  EXPECT_EQ(next.observer.reports.front().batch, 1u);
}

// The state of a checkpoint says another digest, as that of another run would.
void ChangeDigest(const std::string& checkpoint) {
  const std::string path = checkpoint + "/trainer/state.json";
  std::string state = ReadWhole(path);
  const std::string before = storage::Sha256Hex(state);
  char& digit = state[state.find("\"digest\"") + std::string("\"digest\": \"").size()];
  digit = digit == 'a' ? 'b' : 'a';
  std::ofstream(path, std::ios::binary) << state;
  std::string manifest = ReadWhole(checkpoint + "/trainer/manifest.json");
  manifest.replace(manifest.find(before), before.size(), storage::Sha256Hex(state));
  std::ofstream(checkpoint + "/trainer/manifest.json", std::ios::binary) << manifest;
}

TEST_F(LoopTest, AnOlderCheckpointOfOtherWeightsIsIgnoredAndTheNewestRefused) {
  const LoopOptions options = {.checkpoint_every = 2};
  TrainAndDie(model_.path(), run_.path(), options, 3);
  ChangeDigest(run_.path() + "/checkpoints/step-0");
  {
    Life life(model_.path(), run_.path(), options);
    life.AddBatches(6);
    ASSERT_EQ(life.PrepareAndRun(), absl::OkStatus());
  }
  ChangeDigest(run_.path() + "/checkpoints/step-6");
  Life life(model_.path(), run_.path(), options);
  life.AddBatches(6);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(status.message(), ::testing::HasSubstr("step-6"));
  EXPECT_THAT(status.message(), ::testing::HasSubstr("of other weights"));
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

TEST_F(LoopTest, GoesOnCountingBatchesWithoutAFiniteStepWhereItWasKilled) {
  const LoopOptions options = {.checkpoint_every = 1, .max_nonfinite_batches = 3};
  {
    Life life(model_.path(), run_.path(), options);
    life.trainer->parameters().values().fill_(NAN);
    life.trainer->parameters().Refresh();
    life.AddBatches(9);
    life.DieAfter(1);
    EXPECT_TRUE(absl::IsInternal(life.PrepareAndRun()));
  }
  Life life(model_.path(), run_.path(), options);
  life.AddBatches(9);
  life.batches.CommittedBefore(2);
  const absl::Status status = life.PrepareAndRun();
  EXPECT_THAT(status.message(), ::testing::HasSubstr("no optimizer step of the last 3 batches"));
  EXPECT_EQ(life.batches.commits().back().batch, 1u);
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
    ASSERT_TRUE(life.Prepare().ok());
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

TEST_F(LoopTest, SaysAtEachStartThatNoCheckpointIsLeft) {
  {
    Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
    life.AddBatches(5);
    life.DieAfter(3);
    EXPECT_FALSE(life.PrepareAndRun().ok());
  }
  // Removed by somebody, not set aside.
  for (const char* step : {"step-0", "step-2", "step-4"}) {
    fs::remove_all(run_ / ("checkpoints/" + std::string(step)));
  }
  for (int start = 0; start < 2; ++start) {
    Life life(model_.path(), run_.path(), {.checkpoint_every = 2});
    const absl::Status status = life.PrepareAndRun();
    EXPECT_TRUE(IsInputError(status)) << "else it would be started again: " << status;
    EXPECT_THAT(status.message(), ::testing::HasSubstr("put a good copy of one there as step-N"));
  }
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
  EXPECT_TRUE(IsInputError(status)) << status;
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

}  // namespace
}  // namespace attnrl::learner
