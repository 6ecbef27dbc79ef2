// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/decide/cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "common/base/philox.h"

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAre;

std::vector<uint64_t> Places(Cursor& cursor, uint64_t from, uint64_t count) {
  std::vector<uint64_t> rows;
  for (uint64_t i = 0; i < count; ++i) rows.push_back(cursor.At(from + i));
  return rows;
}

TEST(Cursor, EveryEpochHasEveryProblemOnce) {
  for (const uint64_t size : {1, 2, 3, 7, 50}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Cursor cursor(seed, size);
      for (uint64_t epoch = 0; epoch < 6; ++epoch) {
        std::vector<uint64_t> rows = Places(cursor, epoch * size, size);
        std::sort(rows.begin(), rows.end());
        for (uint64_t row = 0; row < size; ++row) ASSERT_EQ(rows[row], row) << size << " " << seed;
      }
    }
  }
}

TEST(Cursor, EpochsAndSeedsHaveOrdersOfTheirOwn) {
  std::set<std::vector<uint64_t>> orders;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Cursor cursor(seed, 50);
    for (uint64_t epoch = 0; epoch < 5; ++epoch) orders.insert(Places(cursor, epoch * 50, 50));
  }
  EXPECT_EQ(orders.size(), 25u);
}

TEST(Cursor, ASetThatComesAgainHasAnotherOrder) {
  Cursor first(7, 50), again(7, 50, 2);
  EXPECT_NE(Places(first, 0, 50), Places(again, 0, 50));
  EXPECT_EQ(Places(again, 0, 50), Places(again, 0, 50));
}

TEST(Cursor, EveryProblemMayComeFirstAndLast) {
  std::set<uint64_t> first, last;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Cursor cursor(seed, 5);
    first.insert(cursor.At(0));
    last.insert(cursor.At(4));
  }
  EXPECT_EQ(first.size(), 5u);
  EXPECT_EQ(last.size(), 5u);
}

TEST(Cursor, IsAPureFunctionOfSeedAndPlaceWhateverWasAskedBefore) {
  RandomStream random({.seed = 1});
  Cursor jumping(7, 10);
  for (int i = 0; i < 300; ++i) {
    const uint64_t place = random.Below(100);
    EXPECT_EQ(jumping.At(place), Cursor(7, 10).At(place)) << place;
  }
}

// A resumed run of another build must meet the same problems.
TEST(Cursor, ShufflesAsItAlwaysHas) {
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<uint64_t> order(9);
    std::iota(order.begin(), order.end(), uint64_t{0});
    const RandomKey key{.seed = 7, .purpose = kShuffleData, .batch = static_cast<uint32_t>(epoch)};
    RandomStream random(key);
    for (uint64_t left = 9; left > 1; --left) std::swap(order[left - 1], order[random.Below(left)]);
    Cursor cursor(7, 9);
    EXPECT_EQ(Places(cursor, epoch * 9, 9), order);
  }
  Cursor cursor(7, 5);
  EXPECT_THAT(Places(cursor, 0, 10), ElementsAre(4, 1, 3, 2, 0, 0, 2, 3, 4, 1));
}

TEST(Cursor, ASetOfOneProblemRepeatsIt) {
  Cursor cursor(7, 1);
  EXPECT_EQ(cursor.At(0), 0u);
  EXPECT_EQ(cursor.At(12345), 0u);
}

}  // namespace
}  // namespace attnrl::scheduler
