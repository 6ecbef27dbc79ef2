// SPDX-License-Identifier: Apache-2.0
#include "common/pipeline/schedule.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace attnrl::pipeline {
namespace {

Schedule Make(PipelineMode mode, bool branching) { return Schedule{mode, branching}; }

Place At(uint32_t base, uint32_t batch) { return {.base = base, .batch = batch}; }

TEST(Schedule, OverlappedSamplesInitialsTwoAndContinuationsOneVersionBehind) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, true);
  const std::vector<uint32_t> initial = {0, 0, 0, 1, 2};
  const std::vector<uint32_t> continuation = {0, 0, 1, 2, 3};
  for (uint32_t b = 0; b < 5; ++b) {
    EXPECT_EQ(schedule.InitialVersion(At(0, b)), initial[b]) << b;
    EXPECT_EQ(schedule.ContinuationVersion(At(0, b)), continuation[b]) << b;
  }
}

TEST(Schedule, OverlappedWithoutBranchingIsOneVersionBehind) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, false);
  EXPECT_EQ(schedule.InitialVersion(At(0, 0)), 0u);
  EXPECT_EQ(schedule.InitialVersion(At(0, 1)), 0u);
  EXPECT_EQ(schedule.InitialVersion(At(0, 7)), 6u);
}

TEST(Schedule, SequentialAndOnPolicyLags) {
  for (bool branching : {false, true}) {
    const Schedule sequential = Make(PipelineMode::kSequential, branching);
    EXPECT_EQ(sequential.InitialVersion(At(0, 5)), 4u);
    EXPECT_EQ(sequential.ContinuationVersion(At(0, 5)), 5u);
    const Schedule on_policy = Make(PipelineMode::kOnPolicy, branching);
    EXPECT_EQ(on_policy.InitialVersion(At(0, 5)), 5u);
    EXPECT_EQ(on_policy.ContinuationVersion(At(0, 5)), 5u);
  }
}

TEST(Schedule, NoIndexFallsBelowTheBaseOfTheSegment) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, true);
  EXPECT_EQ(schedule.InitialVersion(At(7, 7)), 7u);
  EXPECT_EQ(schedule.InitialVersion(At(7, 9)), 7u);
  EXPECT_EQ(schedule.InitialVersion(At(7, 10)), 8u);
  EXPECT_EQ(schedule.LagsOf(At(7, 7)).initial, 0u);
  EXPECT_EQ(schedule.LagsOf(At(7, 8)).initial, 1u);
  EXPECT_EQ(schedule.LagsOf(At(7, 12)).initial, 2u);
  EXPECT_EQ(schedule.LagsOf(At(7, 7)).continuation, 0u);
  EXPECT_EQ(schedule.LagsOf(At(7, 12)).continuation, 1u);
}

TEST(Schedule, CompositionKnowsOnlyBatchesTrainedIntoTheWeightsThatSample) {
  EXPECT_EQ(Make(PipelineMode::kOverlapped, true).NewestKnownBatch(At(0, 5)), 2u);
  EXPECT_EQ(Make(PipelineMode::kOverlapped, false).NewestKnownBatch(At(0, 5)), 3u);
  EXPECT_EQ(Make(PipelineMode::kSequential, true).NewestKnownBatch(At(0, 5)), 3u);
  EXPECT_EQ(Make(PipelineMode::kOnPolicy, true).NewestKnownBatch(At(0, 5)), 4u);
  EXPECT_EQ(Make(PipelineMode::kOverlapped, true).NewestKnownBatch(At(0, 2)), std::nullopt);
  EXPECT_EQ(Make(PipelineMode::kOverlapped, true).NewestKnownBatch(At(7, 8)), 6u);
}

TEST(Schedule, NothingBeginsBeforeItsWeightsExist) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, true);
  EXPECT_FALSE(schedule.MayBegin(At(0, 0), std::nullopt));
  EXPECT_TRUE(schedule.MayBegin(At(0, 2), 0));
  EXPECT_FALSE(schedule.MayBegin(At(0, 3), 0));
  EXPECT_TRUE(schedule.MayBegin(At(0, 3), 1));
}

TEST(Schedule, KeepsTheVersionsThatOpenItemsNeed) {
  const Schedule schedule = Make(PipelineMode::kOverlapped, true);
  EXPECT_EQ(schedule.OldestVersionNeeded(At(0, 5), false), 3u);
  EXPECT_EQ(schedule.OldestVersionNeeded(At(0, 5), true), 4u);
  EXPECT_EQ(Make(PipelineMode::kOverlapped, false).OldestVersionNeeded(At(0, 5), true), 5u);
}

// The table of lags written down a second time, from the specification: the scheduler samples by
// one and the learner refuses by the same functions, so a mistake in them would go unseen.
struct Case {
  Schedule schedule;
  std::vector<uint32_t> initial;       // lag of batches e, e + 1, e + 2, e + 3
  std::vector<uint32_t> continuation;  // empty: none
};

TEST(Lags, FollowEveryModeFromTheBaseOfTheSegment) {
  const std::vector<Case> cases = {
      {{PipelineMode::kOverlapped, true}, {0, 1, 2, 2}, {0, 1, 1, 1}},
      {{PipelineMode::kOverlapped, false}, {0, 1, 1, 1}, {}},
      {{PipelineMode::kSequential, true}, {0, 1, 1, 1}, {0, 0, 0, 0}},
      {{PipelineMode::kSequential, false}, {0, 1, 1, 1}, {}},
      {{PipelineMode::kOnPolicy, true}, {0, 0, 0, 0}, {0, 0, 0, 0}},
      {{PipelineMode::kOnPolicy, false}, {0, 0, 0, 0}, {}},
  };
  for (const Case& c : cases) {
    for (const uint32_t base : {0u, 40u}) {
      for (uint32_t age = 0; age < 4; ++age) {
        const Lags lags = c.schedule.LagsOf(At(base, base + age));
        EXPECT_EQ(lags.initial, c.initial[age]);
        EXPECT_EQ(lags.continuation.has_value(), !c.continuation.empty());
        if (lags.continuation) {
          EXPECT_EQ(*lags.continuation, c.continuation[age]);
        }
      }
    }
  }
}

TEST(Lags, AreThoseOfTheVersionsThatSample) {
  for (const Word<PipelineMode>& mode : WordsOf(PipelineMode{})) {
    for (const bool branching : {false, true}) {
      const Schedule schedule = Make(mode.value, branching);
      for (uint32_t batch = 3; batch < 12; ++batch) {
        const Lags lags = schedule.LagsOf(At(3, batch));
        EXPECT_EQ(schedule.InitialVersion(At(3, batch)), batch - lags.initial) << mode.word;
        EXPECT_GE(schedule.ContinuationVersion(At(3, batch)), schedule.InitialVersion(At(3, batch)))
            << mode.word << ": continuations are never sampled by older weights";
        EXPECT_LE(schedule.ContinuationVersion(At(3, batch)), batch) << mode.word;
      }
    }
  }
}

TEST(PipelineMode, HasTheWordsOfTheConfiguration) {
  EXPECT_EQ(WordOf(PipelineMode::kOverlapped), "overlapped");
  EXPECT_EQ(WordOf(PipelineMode::kSequential), "sequential");
  EXPECT_EQ(ValueOf<PipelineMode>("on_policy"), PipelineMode::kOnPolicy);
}

}  // namespace
}  // namespace attnrl::pipeline
