// SPDX-License-Identifier: Apache-2.0
#include "services/learner/nonfinite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/train/tree_samples.h"

namespace attnrl::learner {
namespace {

using ::testing::HasSubstr;

scheduler::TrainStatistics Steps(uint32_t finite, uint32_t nonfinite) {
  scheduler::TrainStatistics statistics;
  statistics.optimizer_steps = finite;
  statistics.nonfinite_steps = nonfinite;
  return statistics;
}

// The counters of a run that has skipped some steps, those of the last `batches` all.
TrainerCounters After(int64_t updates, int64_t batches = 0) {
  return {.updates = updates, .nonfinite = 4, .nonfinite_batches = batches};
}

class NonfiniteTest : public ::testing::Test {
 protected:
  std::string Path(uint32_t batch) const {
    return absl::StrCat(folder_.path(), "/nonfinite/batch-", batch, ".jsonl");
  }
  NonfiniteGuard Guard(int64_t most) { return NonfiniteGuard(folder_.path() + "/nonfinite", most); }
  TemporaryFolder folder_;
};

TEST_F(NonfiniteTest, KeepsABatchThatReadsBackForReplay) {
  const NonfiniteGuard guard = Guard(10);
  auto batch = TinyBatch(3);
  batch.samples[2].truncated = true;
  ASSERT_TRUE(guard.Check(TinyBatch(2), Steps(2, 0), After(2)).ok());
  ASSERT_TRUE(guard.Check(batch, Steps(1, 1), After(3)).ok());
  EXPECT_FALSE(std::filesystem::exists(Path(2))) << "all of its steps were finite";
  auto read = ReadTreeSamples(Path(3));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->samples.size(), batch.samples.size());
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    read->samples[i].node = batch.samples[i].node;
    EXPECT_EQ(read->samples[i], batch.samples[i]) << i;
  }
}

TEST_F(NonfiniteTest, KeepsTheFirstFewBatchesOnlyAndSaysSoOnce) {
  ASSERT_TRUE(observe::StartLog({.service = "learner", .file = folder_ / "log"}).ok());
  const NonfiniteGuard guard = Guard(1000);
  for (uint32_t b = 0; b < 9; ++b)
    ASSERT_TRUE(guard.Check(TinyBatch(b), Steps(1, 1), After(1)).ok());
  observe::StopLog();
  EXPECT_TRUE(std::filesystem::exists(Path(3)));
  EXPECT_FALSE(std::filesystem::exists(Path(4)));
  const std::vector<std::string> parts =
      absl::StrSplit(folder_.Read("log"), "are counted, not kept");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_THAT(parts[0], HasSubstr("batch-3.jsonl")) << "after the last one that is kept";
}

TEST_F(NonfiniteTest, EndsAfterBatchesInARowWithoutAFiniteStep) {
  const NonfiniteGuard guard = Guard(3);
  EXPECT_TRUE(guard.Check(TinyBatch(0), Steps(1, 1), After(1, 0)).ok()) << "one was finite";
  EXPECT_TRUE(guard.Check(TinyBatch(1), Steps(0, 2), After(1, 1)).ok());
  EXPECT_TRUE(guard.Check(TinyBatch(2), Steps(0, 2), After(1, 2)).ok());
  EXPECT_TRUE(guard.Check({.batch = 3}, Steps(0, 0), After(1, 3)).ok()) << "no sample to train on";
  const absl::Status ended = guard.Check(TinyBatch(4), Steps(0, 2), After(1, 3));
  EXPECT_TRUE(IsInputError(ended)) << "else it would be started again";
  EXPECT_THAT(std::string(ended.message()), HasSubstr("of the last 3 batches had a finite"));
  EXPECT_THAT(std::string(ended.message()), HasSubstr(folder_.path() + "/nonfinite"));
}

TEST_F(NonfiniteTest, EndsAShortRunOfNothingElse) {
  const NonfiniteGuard guard = Guard(10);
  EXPECT_TRUE(guard.Check(TinyBatch(0), Steps(0, 2), After(0, 1)).ok());
  const auto last = TinyBatch(1, 3, /*last=*/true);
  EXPECT_TRUE(IsInputError(guard.Check(last, Steps(0, 2), After(0, 2))));
  EXPECT_TRUE(guard.Check(last, Steps(0, 2), After(1, 2)).ok());
}

TEST_F(NonfiniteTest, EndsARunOfNothingElseWhoseLastBatchHasNoSample) {
  const scheduler::TrainingBatch last = {.batch = 2, .last = true};
  // The steps that failed may lie before a restart.
  const NonfiniteGuard guard = Guard(10);
  EXPECT_TRUE(IsInputError(guard.Check(last, Steps(0, 0), After(0))));
  EXPECT_TRUE(guard.Check(last, Steps(0, 0), After(1)).ok());
  EXPECT_TRUE(guard.Check(last, Steps(0, 0), {}).ok()) << "nothing was ever trained on";
  EXPECT_TRUE(guard.Check({.batch = 1}, Steps(0, 0), After(0)).ok()) << "not the last one";
}

}  // namespace
}  // namespace attnrl::learner
