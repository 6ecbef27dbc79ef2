// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/block_pool.h"

#include <gtest/gtest.h>

#include <set>

namespace attnrl::rollout {
namespace {

TEST(BlockPool, GivesEachBlockOnceAndSaysWhenThereIsNone) {
  BlockPool pool(5);
  std::set<int32_t> blocks;
  for (int i = 0; i < 5; ++i) blocks.insert(pool.Allocate());
  EXPECT_EQ(blocks, (std::set<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.Allocate(), -1);
  EXPECT_EQ(pool.free(), 0);
  pool.Free(3);
  EXPECT_EQ(pool.used(), 4);
  EXPECT_EQ(pool.Allocate(), 3);
}

#ifndef NDEBUG
TEST(BlockPoolDeathTest, ABlockIsFreedOnce) {
  BlockPool pool(2);
  const int32_t block = pool.Allocate();
  pool.Free(block);
  EXPECT_DEATH(pool.Free(block), "taken_");
}
#endif

}  // namespace
}  // namespace attnrl::rollout
