// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "common/tree/criteria/points.h"
#include "common/tree/criteria/testing/splits.h"

namespace attnrl::tree {
namespace {

using testing::ElementsAre;

constexpr PointOrigin kChosen = PointOrigin::kChosen;

TEST(TopPoints, AreTheHighestScoresInOrderOfPosition) {
  const std::vector<float> fci = {0, 0, 3, 9, 1, 7};
  EXPECT_THAT(TopPoints(TenTokenSteps(5), fci, {2, 0.8, 512, Choice::kTop, false}),
              ElementsAre(BranchPoint{20, kChosen}, BranchPoint{40, kChosen}));
}

TEST(TopPoints, GoToTheEarlierOfEqualSteps) {
  const std::vector<float> fci = {0, 0, 3, 3, 3, 3};
  EXPECT_THAT(Splits(TopPoints(TenTokenSteps(5), fci, {2, 0.8, 512, Choice::kTop, false})),
              ElementsAre(10, 20));
}

TEST(TopPoints, LeaveOutTheFirstStepAndScoresThatAreNotPositive) {
  const std::vector<float> fci = {9, 9, 0, 3, 0, 0};
  EXPECT_THAT(Splits(TopPoints(TenTokenSteps(5), fci, {2, 0.8, 512, Choice::kTop, false})),
              ElementsAre(20));
}

TEST(TopPoints, KeepTheDistanceOnBothSidesWhereSpaced) {
  const std::vector<float> fci = {0, 0, 1, 8, 9, 8, 2, 3};
  EXPECT_THAT(Splits(TopPoints(TenTokenSteps(7), fci, {3, 0.8, 10, Choice::kTop, true})),
              ElementsAre(10, 30, 60));
  EXPECT_THAT(Splits(TopPoints(TenTokenSteps(7), fci, {3, 0.8, 45, Choice::kTop, true})),
              ElementsAre(40));
}

}  // namespace
}  // namespace attnrl::tree
