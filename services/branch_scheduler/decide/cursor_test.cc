// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/decide/cursor.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace attnrl::scheduler {
namespace {

TEST(Cursor, EveryEpochHasEveryProblemOnceInAnotherOrder) {
  Cursor cursor(7, 50);
  std::vector<uint64_t> first, second;
  for (uint64_t i = 0; i < 50; ++i) first.push_back(cursor.At(i));
  for (uint64_t i = 50; i < 100; ++i) second.push_back(cursor.At(i));
  EXPECT_EQ(std::set<uint64_t>(first.begin(), first.end()).size(), 50u);
  EXPECT_EQ(std::set<uint64_t>(second.begin(), second.end()).size(), 50u);
  EXPECT_NE(first, second);
}

TEST(Cursor, IsAPureFunctionOfSeedAndPlace) {
  Cursor once(7, 10), again(7, 10), other(8, 10);
  std::vector<uint64_t> a, b, c;
  for (uint64_t i = 0; i < 100; ++i) a.push_back(once.At(i));
  for (uint64_t i = 100; i-- > 0;) b.insert(b.begin(), again.At(i));
  for (uint64_t i = 0; i < 100; ++i) c.push_back(other.At(i));
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST(Cursor, ASetOfOneProblemRepeatsIt) {
  Cursor cursor(7, 1);
  EXPECT_EQ(cursor.At(0), 0u);
  EXPECT_EQ(cursor.At(12345), 0u);
}

}  // namespace
}  // namespace attnrl::scheduler
