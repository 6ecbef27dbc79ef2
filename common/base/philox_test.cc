// SPDX-License-Identifier: Apache-2.0
#include "common/base/philox.h"

#include <cmath>
#include <set>

#include "gtest/gtest.h"

namespace attnrl {
namespace {

// Known answers published with the paper's code (Random123, kat_vectors, philox4x32 10 rounds).
TEST(Philox, MatchesThePublishedKnownAnswers) {
  EXPECT_EQ(Philox({0, 0}, {0, 0, 0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomBits, DiffersInEveryPartOfTheKey) {
  const RandomKey base{.seed = 1, .purpose = kSampleToken, .batch = 2, .position = 3, .node = 4};
  std::set<uint64_t> seen = {RandomBits(base, 5), RandomBits(base, 6)};
  for (int part = 0; part < 6; ++part) {
    RandomKey key = base;
    if (part == 0) key.seed = 2;
    if (part == 1) key.seed = 1 + (1ULL << 32);
    if (part == 2) key.purpose = kExpand;
    if (part == 3) key.batch = 3;
    if (part == 4) key.position = 4;
    if (part == 5) key.node = 5;
    seen.insert(RandomBits(key, 5));
  }
  EXPECT_EQ(seen.size(), 8U);
}

TEST(RandomUniform, HasTheMomentsOfTheUniformDistribution) {
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 20000;
  for (uint32_t i = 0; i < kCount; ++i) {
    const double u = RandomUniform({.seed = 7}, i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / kCount, 0.5, 0.01);
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 0.01);
}

TEST(RandomStream, BelowStaysInRangeAndHitsEveryValue) {
  RandomStream stream({.seed = 3});
  std::set<uint64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(stream.Below(7));
  EXPECT_EQ(seen.size(), 7U);
  EXPECT_EQ(*seen.rbegin(), 6U);
}

}  // namespace
}  // namespace attnrl
