// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "common/attention/cuda/score_updates_kernel.h"
#include "common/attention/cuda/testing/scored_case.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::attention {
namespace {

TEST(UpdateScores, AddsAnEndedStepToThoseBeforeAndBeginsAnewInEveryOrderOfThreads) {
  const ScoreUpdateCase of;
  const std::vector<float> current_before = of.Numbers(5), total_before = of.Numbers(6);
  const std::vector<double> expected = of.InDouble(current_before, total_before);
  std::vector<float> first;
  for (const cuda::ThreadOrder order : cuda::kAllOrders) {
    std::vector<float> current = current_before, total = total_before;
    const std::vector<ScoreUpdate> updates = of.Updates(current.data(), total.data());
    const ScoreUpdates pass{
        .updates = updates.data(), .count = static_cast<int32_t>(updates.size()), .rows = of.rows};
    const int64_t blocks = (of.rows + UpdateScores::kWarps - 1) / UpdateScores::kWarps;
    const absl::Status status = cuda::Emulate<UpdateScores>({blocks, pass.count}, pass, order);
    ASSERT_TRUE(status.ok()) << status;
    current.insert(current.end(), total.begin(), total.end());
    if (first.empty()) first = current;
    EXPECT_EQ(current, first);
    // One division and one addition of numbers below 8.
    EXPECT_LE(GreatestDifference(current, expected), 8e-7);
  }
}

}  // namespace
}  // namespace attnrl::attention
