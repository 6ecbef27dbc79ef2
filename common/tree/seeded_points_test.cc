// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/tree/branch_points.h"

namespace attnrl::tree {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<int64_t> Splits(const std::vector<BranchPoint>& points) {
  std::vector<int64_t> splits;
  for (const BranchPoint& point : points) splits.push_back(point.split);
  return splits;
}

RandomKey Key(uint32_t node) {
  return {.seed = 5, .purpose = kBranch, .batch = 2, .position = 3, .node = node};
}

// A prompt of 10 tokens, response steps that start at 0, 4, 9 and 12 of the response.
const std::vector<StepRange> kSteps = {{0, 10}, {10, 14}, {14, 19}, {19, 22}, {22, 30}};

TEST(RandomPoints, DependOnTheKeyAlone) {
  EXPECT_EQ(RandomPoints(kSteps, 2, Key(0)), RandomPoints(kSteps, 2, Key(0)));
  std::set<std::vector<int64_t>> seen;
  for (uint32_t node = 0; node < 50; ++node)
    seen.insert(Splits(RandomPoints(kSteps, 2, Key(node))));
  EXPECT_THAT(seen, ElementsAre(ElementsAre(4, 9), ElementsAre(4, 12), ElementsAre(9, 12)));
}

TEST(RandomPoints, AreAscendingAndAllChosen) {
  for (uint32_t node = 0; node < 20; ++node) {
    const std::vector<BranchPoint> points = RandomPoints(kSteps, 3, Key(node));
    EXPECT_THAT(Splits(points), ElementsAre(4, 9, 12));
    EXPECT_THAT(points, Each(Field(&BranchPoint::origin, PointOrigin::kChosen)));
  }
}

TEST(RandomPoints, TakeEachStepAboutEquallyOften) {
  std::map<int64_t, int> taken;
  for (uint32_t node = 0; node < 3000; ++node) ++taken[RandomPoints(kSteps, 1, Key(node))[0].split];
  ASSERT_THAT(taken, SizeIs(3));
  for (const auto& [split, times] : taken) EXPECT_NEAR(times, 1000, 130) << split;
}

TEST(RandomPoints, RepeatAStepOnlyWhenAllAreTaken) {
  for (uint32_t node = 0; node < 20; ++node) {
    const std::vector<int64_t> splits = Splits(RandomPoints(kSteps, 5, Key(node)));
    ASSERT_THAT(splits, SizeIs(5));
    for (const int64_t split : {4, 9, 12}) {
      const auto times = std::count(splits.begin(), splits.end(), split);
      EXPECT_TRUE(times == 1 || times == 2) << split << " is there " << times << " times";
    }
  }
}

TEST(RandomPoints, DoNotExistInAResponseOfOneStep) {
  EXPECT_THAT(RandomPoints(std::vector<StepRange>{{0, 10}, {10, 20}}, 2, Key(0)), IsEmpty());
  EXPECT_THAT(RandomPoints({}, 2, Key(0)), IsEmpty());
  EXPECT_THAT(RandomPoints(kSteps, 0, Key(0)), IsEmpty());
}

TEST(FixedLengthPoints, LieAtStartsOfEqualBlocksAfterTheFirst) {
  std::set<int64_t> seen;
  for (uint32_t node = 0; node < 200; ++node) {
    for (const int64_t split : Splits(FixedLengthPoints(80, 2, Key(node)))) seen.insert(split);
  }
  EXPECT_THAT(seen, ElementsAre(10, 20, 30, 40, 50, 60, 70));  // eight blocks for two points
}

TEST(FixedLengthPoints, LeaveNoBlockMoreThanOneTokenLonger) {
  std::set<int64_t> starts = {0, 30};
  for (uint32_t node = 0; node < 100; ++node) {
    for (const int64_t split : Splits(FixedLengthPoints(30, 1, Key(node)))) starts.insert(split);
  }
  EXPECT_THAT(starts, ElementsAre(0, 7, 15, 22, 30));
}

TEST(FixedLengthPoints, CutAShortResponseIntoItsTokens) {
  EXPECT_THAT(Splits(FixedLengthPoints(3, 2, Key(0))), ElementsAre(1, 2));
  EXPECT_THAT(Splits(FixedLengthPoints(2, 3, Key(0))), ElementsAre(1, 1, 1));
  EXPECT_THAT(FixedLengthPoints(1, 2, Key(0)), IsEmpty());
  EXPECT_THAT(FixedLengthPoints(0, 2, Key(0)), IsEmpty());
  EXPECT_THAT(FixedLengthPoints(80, 0, Key(0)), IsEmpty());
}

}  // namespace
}  // namespace attnrl::tree
