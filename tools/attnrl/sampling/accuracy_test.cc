// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/accuracy.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace attnrl::tools {
namespace {

TEST(PassAtK, IsTheShareOfRightOnesForKOne) {
  EXPECT_DOUBLE_EQ(PassAtK(6, 0, 1), 0);
  EXPECT_DOUBLE_EQ(PassAtK(6, 2, 1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(PassAtK(6, 6, 1), 1);
}

TEST(PassAtK, CountsTheSubsetsWithoutARightOne) {
  // Of the 10 pairs out of 5 samples, 3 have only wrong ones when 3 are wrong.
  EXPECT_DOUBLE_EQ(PassAtK(5, 2, 2), 1 - 3.0 / 10);
  EXPECT_DOUBLE_EQ(PassAtK(5, 1, 5), 1);
  EXPECT_DOUBLE_EQ(PassAtK(5, 0, 5), 0);
}

TEST(PassAtK, IsTheShareOfTheSubsetsThatHoldARightOne) {
  for (int64_t n = 1; n <= 8; ++n) {
    for (int64_t correct = 0; correct <= n; ++correct) {
      for (int64_t k = 1; k <= n; ++k) {
        int64_t subsets = 0;
        int64_t solved = 0;
        for (uint32_t subset = 0; subset < (1u << n); ++subset) {
          if (std::popcount(subset) != k) continue;
          ++subsets;
          solved += (subset & ((1u << correct) - 1)) != 0 ? 1 : 0;  // the first ones are right
        }
        EXPECT_NEAR(PassAtK(n, correct, k),
                    static_cast<double>(solved) / static_cast<double>(subsets), 1e-12)
            << correct << " of " << n << ", k " << k;
      }
    }
  }
}

TEST(PassAtK, StaysExactForManySamples) { EXPECT_NEAR(PassAtK(2000, 1, 1000), 0.5, 1e-12); }

TEST(MeanAndError, IsThatOfTheSampleMean) {
  const MeanAndError result = Summarise({1, 0, 1, 1});
  EXPECT_DOUBLE_EQ(result.mean, 0.75);
  EXPECT_DOUBLE_EQ(result.standard_error, std::sqrt(0.75 / 3 / 4));
  EXPECT_EQ(Summarise({0.5}).standard_error, 0);
}

}  // namespace
}  // namespace attnrl::tools
