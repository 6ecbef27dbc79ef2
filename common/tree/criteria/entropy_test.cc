// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cmath>

#include "common/tree/criteria/points.h"
#include "common/tree/criteria/testing/splits.h"

namespace attnrl::tree {
namespace {

using testing::ElementsAre;

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

}  // namespace
}  // namespace attnrl::tree
