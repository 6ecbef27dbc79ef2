// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "common/tree/criteria/points.h"
#include "common/tree/criteria/testing/splits.h"

namespace attnrl::tree {
namespace {

using testing::ElementsAre;

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
    EXPECT_EQ(WordOf(point.origin), "chosen");
  }
}

}  // namespace
}  // namespace attnrl::tree
