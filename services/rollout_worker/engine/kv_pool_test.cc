// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/kv_pool.h"

#include <gtest/gtest.h>

#include <set>

#include "common/base/philox.h"

namespace attnrl::rollout {
namespace {

TEST(KvPool, GivesTheLowestFreeSlot) {
  KvPool pool(3);
  EXPECT_EQ(pool.Allocate(), 0);
  EXPECT_EQ(pool.Allocate(), 1);
  EXPECT_EQ(pool.Allocate(), 2);
  pool.Free(1);
  pool.Free(0);
  EXPECT_EQ(pool.Allocate(), 0);
  EXPECT_EQ(pool.Allocate(), 1);
}

TEST(KvPool, SaysWhenEverySlotIsTaken) {
  KvPool pool(1);
  EXPECT_EQ(pool.Allocate(), 0);
  EXPECT_EQ(pool.Allocate(), std::nullopt);
  pool.Free(0);
  EXPECT_EQ(pool.Allocate(), 0);
}

TEST(KvPool, AccountsForEverySlotThroughRandomUse) {
  constexpr int64_t kSlots = 7;
  KvPool pool(kSlots);
  std::set<int64_t> mine;
  RandomStream random({.seed = 5});
  for (int step = 0; step < 2000; ++step) {
    if (random.Below(2) == 0) {
      const std::optional<int64_t> slot = pool.Allocate();
      ASSERT_EQ(slot.has_value(), mine.size() < kSlots);
      if (slot) {
        ASSERT_TRUE(mine.insert(*slot).second) << "slot " << *slot << " was given twice";
      }
    } else if (!mine.empty()) {
      auto victim = mine.begin();
      std::advance(victim, static_cast<int64_t>(random.Below(mine.size())));
      pool.Free(*victim);
      mine.erase(victim);
    }
    ASSERT_EQ(pool.used(), static_cast<int64_t>(mine.size()));
    ASSERT_EQ(pool.used() + pool.free(), kSlots);
    for (int64_t slot = 0; slot < kSlots; ++slot) ASSERT_EQ(pool.taken(slot), mine.contains(slot));
  }
}

}  // namespace
}  // namespace attnrl::rollout
