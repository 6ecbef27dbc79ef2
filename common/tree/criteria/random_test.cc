// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/tree/criteria/points.h"
#include "common/tree/criteria/testing/splits.h"

namespace attnrl::tree {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

TEST(RandomPoints, DependOnTheKeyAlone) {
  EXPECT_EQ(RandomPoints(kSteps, 2, KeyOfNode(0)), RandomPoints(kSteps, 2, KeyOfNode(0)));
  std::set<std::vector<int64_t>> seen;
  for (uint32_t node = 0; node < 50; ++node)
    seen.insert(Splits(RandomPoints(kSteps, 2, KeyOfNode(node))));
  EXPECT_THAT(seen, ElementsAre(ElementsAre(4, 9), ElementsAre(4, 12), ElementsAre(9, 12)));
}

TEST(RandomPoints, AreAscendingAndAllChosen) {
  for (uint32_t node = 0; node < 20; ++node) {
    const std::vector<BranchPoint> points = RandomPoints(kSteps, 3, KeyOfNode(node));
    EXPECT_THAT(Splits(points), ElementsAre(4, 9, 12));
    EXPECT_THAT(points, Each(Field(&BranchPoint::origin, PointOrigin::kChosen)));
  }
}

TEST(RandomPoints, TakeEachStepAboutEquallyOften) {
  std::map<int64_t, int> taken;
  for (uint32_t node = 0; node < 3000; ++node)
    ++taken[RandomPoints(kSteps, 1, KeyOfNode(node))[0].split];
  ASSERT_THAT(taken, SizeIs(3));
  for (const auto& [split, times] : taken) EXPECT_NEAR(times, 1000, 130) << split;
}

TEST(RandomPoints, RepeatAStepOnlyWhenAllAreTaken) {
  for (uint32_t node = 0; node < 20; ++node) {
    const std::vector<int64_t> splits = Splits(RandomPoints(kSteps, 5, KeyOfNode(node)));
    ASSERT_THAT(splits, SizeIs(5));
    for (const int64_t split : {4, 9, 12}) {
      const auto times = std::count(splits.begin(), splits.end(), split);
      EXPECT_TRUE(times == 1 || times == 2) << split << " is there " << times << " times";
    }
  }
}

TEST(RandomPoints, DoNotExistInAResponseOfOneStep) {
  EXPECT_THAT(RandomPoints(std::vector<StepRange>{{0, 10}, {10, 20}}, 2, KeyOfNode(0)), IsEmpty());
  EXPECT_THAT(RandomPoints({}, 2, KeyOfNode(0)), IsEmpty());
  EXPECT_THAT(RandomPoints(kSteps, 0, KeyOfNode(0)), IsEmpty());
}

}  // namespace
}  // namespace attnrl::tree
