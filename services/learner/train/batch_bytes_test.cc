// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/batch_bytes.h"

#include <gtest/gtest.h>

#include "services/learner/testing/training_batches.h"

namespace attnrl::learner {
namespace {

TEST(BatchBytes, ComeBackAsTheBatchTheyWere) {
  scheduler::TrainingBatch batch = TinyBatch(3, 2, /*last=*/true);
  batch.base = 2;
  batch.graded_responses = 7;
  batch.right_responses = 5;
  batch.samples[1].node = 4;
  batch.samples[1].truncated = true;
  batch.samples[1].logprobs[0] = -1.0f / 3;
  const auto read = ParseBatchBytes(BatchBytes(batch));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == batch);
  const auto empty = ParseBatchBytes(BatchBytes({.batch = 7}));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->batch, 7u);
  EXPECT_TRUE(empty->samples.empty());
}

TEST(BatchBytes, ThatAreCutOrTooLongAreRefused) {
  const std::string bytes = BatchBytes(TinyBatch(0, 1));
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_TRUE(absl::IsDataLoss(ParseBatchBytes(bytes.substr(0, length)).status())) << length;
  }
  EXPECT_TRUE(absl::IsDataLoss(ParseBatchBytes(bytes + "x").status()));
}

}  // namespace
}  // namespace attnrl::learner
