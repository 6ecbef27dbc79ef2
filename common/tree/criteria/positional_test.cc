// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "common/tree/criteria/points.h"
#include "common/tree/criteria/testing/splits.h"

namespace attnrl::tree {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr PointOrigin kThreshold = PointOrigin::kThreshold;
constexpr PointOrigin kFill = PointOrigin::kFill;
constexpr PointOrigin kDuplicate = PointOrigin::kDuplicate;

TEST(PositionalPoints, AreTheEarliestStepsThatReachTheQuantile) {
  const std::vector<float> fci = {0, 0, 1, 5, 2, 9, 3, 8, 1, 0, 0};  // 0.8-quantile: 5.6
  EXPECT_THAT(PositionalPoints(TenTokenSteps(10), fci, {2, 0.8, 0}),
              ElementsAre(BranchPoint{40, kThreshold}, BranchPoint{60, kThreshold}));
  EXPECT_THAT(PositionalPoints(TenTokenSteps(10), fci, {1, 0.5, 0}),
              ElementsAre(BranchPoint{20, kThreshold}));
}

TEST(PositionalPoints, TakeAScoreThatEqualsTheThreshold) {
  const std::vector<float> fci = {0, 0, 1, 1, 1, 1};  // 0.8-quantile: 1
  EXPECT_THAT(PositionalPoints(TenTokenSteps(5), fci, {2, 0.8, 0}),
              ElementsAre(BranchPoint{10, kThreshold}, BranchPoint{20, kThreshold}));
}

TEST(PositionalPoints, TakeTheSmallestPositiveScoreWhereTheQuantileIsZero) {
  const std::vector<float> fci = {0, 0, 0, 0, 0, 0.25F, 0, 0, 0.5F, 0, 0};
  EXPECT_THAT(PositionalPoints(TenTokenSteps(10), fci, {2, 0.5, 0}),
              ElementsAre(BranchPoint{40, kThreshold}, BranchPoint{70, kThreshold}));
}

TEST(PositionalPoints, QualifyEveryStepButTheFirstWhereNoScoreIsPositive) {
  const std::vector<float> fci(7, 0.0F);
  EXPECT_THAT(PositionalPoints(TenTokenSteps(6), fci, {2, 0.8, 0}),
              ElementsAre(BranchPoint{10, kThreshold}, BranchPoint{20, kThreshold}));
}

TEST(PositionalPoints, NeverTakeTheFirstResponseStepWhateverItsScore) {
  const std::vector<float> fci = {0, 9, 0, 1};
  EXPECT_THAT(PositionalPoints(TenTokenSteps(3), fci, {1, 1.0, 0}),
              ElementsAre(BranchPoint{10, kFill}));
}

TEST(PositionalPoints, AreFewerOrNoneWithoutFill) {
  const std::vector<float> fci = {0, 0, 1, 5, 2, 9, 3, 8, 1, 0, 0};
  PointOptions options{.count = 4, .quantile = 0.8, .min_distance = 0};
  options.fill = false;
  EXPECT_THAT(PositionalPoints(TenTokenSteps(10), fci, options),
              ElementsAre(BranchPoint{40, kThreshold}, BranchPoint{60, kThreshold}));
  options.min_distance = 512;
  EXPECT_THAT(PositionalPoints(TenTokenSteps(10), fci, options), IsEmpty());
}

TEST(PositionalPoints, CountThePromptInTheDistanceFromTheStart) {
  const std::vector<float> fci(7, 0.0F);
  EXPECT_THAT(PositionalPoints(TenTokenSteps(6), fci, {1, 0.8, 40}),
              ElementsAre(BranchPoint{30, kThreshold}));  // position 40
}

TEST(PositionalPoints, KeepTheDistanceFromTheEndOfTheLastOneTaken) {
  const std::vector<float> fci(9, 0.0F);
  EXPECT_THAT(PositionalPoints(TenTokenSteps(8), fci, {3, 0.8, 20}),
              ElementsAre(BranchPoint{10, kThreshold}, BranchPoint{40, kThreshold},
                          BranchPoint{70, kThreshold}));
}

TEST(PositionalPoints, FillUpWithTheEarliestStepsNotTaken) {
  const std::vector<float> fci = {0, 0, 0, 7, 0, 0};
  EXPECT_THAT(
      PositionalPoints(TenTokenSteps(5), fci, {3, 0.8, 0}),
      ElementsAre(BranchPoint{10, kFill}, BranchPoint{20, kThreshold}, BranchPoint{30, kFill}));
  EXPECT_THAT(PositionalPoints(TenTokenSteps(5), fci, {2, 0.8, 1000}),
              ElementsAre(BranchPoint{10, kFill}, BranchPoint{20, kFill}));
}

TEST(PositionalPoints, RepeatFromTheFrontWhereStepsRunOut) {
  const std::vector<float> fci = {0, 0, 0, 7};
  EXPECT_THAT(
      PositionalPoints(TenTokenSteps(3), fci, {5, 0.8, 0}),
      ElementsAre(BranchPoint{10, kFill}, BranchPoint{10, kDuplicate}, BranchPoint{10, kDuplicate},
                  BranchPoint{20, kThreshold}, BranchPoint{20, kDuplicate}));
}

TEST(PositionalPoints, DoNotExistInAResponseOfOneStep) {
  EXPECT_THAT(PositionalPoints(TenTokenSteps(1), std::vector<float>{0, 0}, {2, 0.8, 0}), IsEmpty());
  EXPECT_THAT(PositionalPoints({}, {}, {2, 0.8, 0}), IsEmpty());
  EXPECT_THAT(PositionalPoints(TenTokenSteps(2), std::vector<float>{0, 0, 1}, {0, 0.8, 0}),
              IsEmpty());
}

}  // namespace
}  // namespace attnrl::tree
