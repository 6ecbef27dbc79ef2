// SPDX-License-Identifier: Apache-2.0
#include "common/tree/branch_points.h"

#include <gmock/gmock.h>

#include <cmath>

namespace attnrl::tree {
namespace {

using testing::ElementsAre;

std::vector<int64_t> Splits(const std::vector<BranchPoint>& points) {
  std::vector<int64_t> splits;
  for (const BranchPoint& point : points) splits.push_back(point.split);
  return splits;
}

// A prompt of 10 tokens, response steps that start at 0, 4, 9 and 12 of the response.
const std::vector<StepRange> kSteps = {{0, 10}, {10, 14}, {14, 19}, {19, 22}, {22, 30}};

TEST(EarliestPoints, AreTheStartsOfTheStepsAfterTheFirst) {
  EXPECT_THAT(Splits(EarliestPoints(kSteps, 2)), ElementsAre(4, 9));
  EXPECT_THAT(Splits(EarliestPoints(kSteps, 3)), ElementsAre(4, 9, 12));
}

TEST(EarliestPoints, RepeatFromTheFrontWhereStepsRunOut) {
  EXPECT_THAT(Splits(EarliestPoints(kSteps, 5)), ElementsAre(4, 4, 9, 9, 12));
  const std::vector<StepRange> two_steps = {{0, 3}, {3, 5}, {5, 9}};
  EXPECT_THAT(Splits(EarliestPoints(two_steps, 2)), ElementsAre(2, 2));
}

TEST(EarliestPoints, DoNotExistInAResponseOfOneStep) {
  const std::vector<StepRange> one_step = {{0, 3}, {3, 5}};
  EXPECT_TRUE(EarliestPoints(one_step, 2).empty());
  EXPECT_TRUE(EarliestPoints({}, 2).empty());
}

TEST(EarliestPoints, AreAllMarkedAsChosen) {
  for (const BranchPoint& point : EarliestPoints(kSteps, 5)) {
    EXPECT_EQ(PointOriginName(point.origin), "chosen");
  }
}

TEST(EntropyPoints, AreTheHighestEntropiesInOrderOfPosition) {
  const std::vector<float> entropy = {0.1F, 0.9F, 0.2F, 1.5F, 0.3F, 9.0F};
  EXPECT_THAT(Splits(EntropyPoints(entropy, 2)), ElementsAre(1, 3));
  EXPECT_THAT(Splits(EntropyPoints(entropy, 3)), ElementsAre(1, 3, 4));
}

TEST(EntropyPoints, NeverTakeTheLastToken) {
  EXPECT_THAT(Splits(EntropyPoints(std::vector<float>{0.1F, 0.2F, 9.0F}, 5)), ElementsAre(0, 1));
  EXPECT_TRUE(EntropyPoints(std::vector<float>{9.0F}, 2).empty());
  EXPECT_TRUE(EntropyPoints({}, 2).empty());
}

TEST(EntropyPoints, PreferTheEarlierOfEquals) {
  EXPECT_THAT(Splits(EntropyPoints(std::vector<float>{1, 2, 2, 2, 1}, 2)), ElementsAre(1, 2));
}

TEST(EntropyPoints, PutWhatIsNotANumberLast) {
  EXPECT_THAT(Splits(EntropyPoints(std::vector<float>{NAN, 2, NAN, 1, 5}, 2)), ElementsAre(1, 3));
}

TEST(PointOrigin, HasTheNamesOfTheTreeRecords) {
  EXPECT_EQ(PointOriginName(PointOrigin::kThreshold), "threshold");
  EXPECT_EQ(PointOriginName(PointOrigin::kFill), "fill");
  EXPECT_EQ(PointOriginName(PointOrigin::kDuplicate), "duplicate");
}

}  // namespace
}  // namespace attnrl::tree
