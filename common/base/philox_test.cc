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

// By the formula of common/base/README.md, worked out with another implementation.
TEST(RandomBits, AreThoseOfTheFormula) {
  const uint32_t most = UINT32_MAX;
  EXPECT_EQ(RandomBits({}, 0), 0xde481b3493af72c7u);
  const RandomKey key{.seed = 42, .purpose = 1, .batch = 7, .position = 3, .node = 2};
  EXPECT_EQ(RandomBits(key, 0), 0x9c4268741cf2364cu);
  EXPECT_EQ(RandomBits(key, 1), 0x53032bf54cc03261u);
  EXPECT_EQ(RandomUniform(key, 0), 0.6103883059958626);
  EXPECT_EQ(
      RandomBits({.seed = UINT64_MAX, .purpose = 8, .batch = most, .position = most, .node = most},
                 most),
      0x6d3d52b5505e7164u);
  EXPECT_EQ(RandomBits({.seed = 1ULL << 32, .purpose = kBranch, .batch = 0, .position = 1}, 1000),
            0xbb94635668675d1du);
}

TEST(RandomStream, DrawsOneIndexAfterTheOther) {
  const RandomKey key{.seed = 9, .purpose = kShuffleData};
  RandomStream stream(key);
  EXPECT_EQ(stream.Bits(), RandomBits(key, 0));
  EXPECT_EQ(stream.Uniform(), RandomUniform(key, 1));
  EXPECT_EQ(stream.Below(1), 0u);
  EXPECT_EQ(stream.Bits(), RandomBits(key, 3));
}

TEST(RandomStream, BelowPassesOverDrawsThatWouldBeUneven) {
  // Of 2^63 + 1 values nearly half of all draws are beyond the last whole round.
  const uint64_t n = (1ULL << 63) + 1;
  const RandomKey key{.seed = 11};
  RandomStream stream(key);
  uint32_t index = 0;
  for (int draw = 0; draw < 50; ++draw) {
    while (RandomBits(key, index) >= n) ++index;
    EXPECT_EQ(stream.Below(n), RandomBits(key, index++));
  }
  EXPECT_GT(index, 60u);
}

}  // namespace
}  // namespace attnrl
