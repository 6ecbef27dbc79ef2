// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <set>

#include "common/tree/criteria/points.h"
#include "common/tree/criteria/testing/splits.h"

namespace attnrl::tree {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(FixedLengthPoints, LieAtStartsOfEqualBlocksAfterTheFirst) {
  std::set<int64_t> seen;
  for (uint32_t node = 0; node < 200; ++node) {
    for (const int64_t split : Splits(FixedLengthPoints(80, 2, KeyOfNode(node))))
      seen.insert(split);
  }
  EXPECT_THAT(seen, ElementsAre(10, 20, 30, 40, 50, 60, 70));  // eight blocks for two points
}

TEST(FixedLengthPoints, LeaveNoBlockMoreThanOneTokenLonger) {
  std::set<int64_t> starts = {0, 30};
  for (uint32_t node = 0; node < 100; ++node) {
    for (const int64_t split : Splits(FixedLengthPoints(30, 1, KeyOfNode(node))))
      starts.insert(split);
  }
  EXPECT_THAT(starts, ElementsAre(0, 7, 15, 22, 30));
}

TEST(FixedLengthPoints, CutAShortResponseIntoItsTokens) {
  EXPECT_THAT(Splits(FixedLengthPoints(3, 2, KeyOfNode(0))), ElementsAre(1, 2));
  EXPECT_THAT(Splits(FixedLengthPoints(2, 3, KeyOfNode(0))), ElementsAre(1, 1, 1));
  EXPECT_THAT(FixedLengthPoints(1, 2, KeyOfNode(0)), IsEmpty());
  EXPECT_THAT(FixedLengthPoints(0, 2, KeyOfNode(0)), IsEmpty());
  EXPECT_THAT(FixedLengthPoints(80, 0, KeyOfNode(0)), IsEmpty());
}

}  // namespace
}  // namespace attnrl::tree
