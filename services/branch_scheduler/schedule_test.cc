// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace attnrl::scheduler {
namespace {

Schedule Make(PipelineMode mode, bool branching, uint32_t steps = 100) {
  return Schedule{mode, branching, steps};
}

TEST(Schedule, OverlappedSamplesInitialsTwoAndContinuationsOneVersionBehind) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, true);
  const std::vector<uint32_t> initial = {0, 0, 0, 1, 2};
  const std::vector<uint32_t> continuation = {0, 0, 1, 2, 3};
  for (uint32_t b = 0; b < 5; ++b) {
    EXPECT_EQ(schedule.InitialVersion(0, b), initial[b]) << b;
    EXPECT_EQ(schedule.ContinuationVersion(0, b), continuation[b]) << b;
  }
}

TEST(Schedule, OverlappedWithoutBranchingIsOneVersionBehind) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, false);
  EXPECT_EQ(schedule.InitialVersion(0, 0), 0u);
  EXPECT_EQ(schedule.InitialVersion(0, 1), 0u);
  EXPECT_EQ(schedule.InitialVersion(0, 7), 6u);
}

TEST(Schedule, SequentialAndOnPolicyLags) {
  for (bool branching : {false, true}) {
    const Schedule sequential = Make(PipelineMode::kSequential, branching);
    EXPECT_EQ(sequential.InitialVersion(0, 5), 4u);
    EXPECT_EQ(sequential.ContinuationVersion(0, 5), 5u);
    const Schedule on_policy = Make(PipelineMode::kOnPolicy, branching);
    EXPECT_EQ(on_policy.InitialVersion(0, 5), 5u);
    EXPECT_EQ(on_policy.ContinuationVersion(0, 5), 5u);
  }
}

TEST(Schedule, NoIndexFallsBelowTheBaseOfTheSegment) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, true);
  EXPECT_EQ(schedule.InitialVersion(7, 7), 7u);
  EXPECT_EQ(schedule.InitialVersion(7, 9), 7u);
  EXPECT_EQ(schedule.InitialVersion(7, 10), 8u);
  EXPECT_EQ(schedule.ExpectedInitialLag(7, 7), 0u);
  EXPECT_EQ(schedule.ExpectedInitialLag(7, 8), 1u);
  EXPECT_EQ(schedule.ExpectedInitialLag(7, 12), 2u);
  EXPECT_EQ(schedule.ExpectedContinuationLag(7, 7), 0u);
  EXPECT_EQ(schedule.ExpectedContinuationLag(7, 12), 1u);
}

TEST(Schedule, CompositionKnowsOnlyBatchesTrainedIntoTheWeightsThatSample) {
  EXPECT_EQ(Make(PipelineMode::kOverlapped, true).NewestKnownBatch(0, 5), 2u);
  EXPECT_EQ(Make(PipelineMode::kOverlapped, false).NewestKnownBatch(0, 5), 3u);
  EXPECT_EQ(Make(PipelineMode::kSequential, true).NewestKnownBatch(0, 5), 3u);
  EXPECT_EQ(Make(PipelineMode::kOnPolicy, true).NewestKnownBatch(0, 5), 4u);
  EXPECT_EQ(Make(PipelineMode::kOverlapped, true).NewestKnownBatch(0, 2), std::nullopt);
  EXPECT_EQ(Make(PipelineMode::kOverlapped, true).NewestKnownBatch(7, 8), 6u);
}

TEST(Schedule, NothingBeginsBeforeItsWeightsExistOrBeyondTheEnd) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, true, 4);
  EXPECT_FALSE(schedule.MayBegin(0, 0, std::nullopt));
  EXPECT_TRUE(schedule.MayBegin(0, 2, 0));
  EXPECT_FALSE(schedule.MayBegin(0, 3, 0));
  EXPECT_TRUE(schedule.MayBegin(0, 3, 1));
  EXPECT_FALSE(schedule.MayBegin(0, 4, 3)) << "batch 4 is not one of 4 steps";
}

TEST(Schedule, KeepsTheVersionsThatOpenItemsNeed) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, true);
  EXPECT_EQ(schedule.OldestVersionNeeded(0, 5, false), 3u);
  EXPECT_EQ(schedule.OldestVersionNeeded(0, 5, true), 4u);
  EXPECT_EQ(Make(PipelineMode::kOverlapped, false).OldestVersionNeeded(0, 5, true), 5u);
}

}  // namespace
}  // namespace attnrl::scheduler
