// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/kv_branch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/base/philox.h"

namespace attnrl::rollout {
namespace {

using attention::BlockPiece;
using attention::kBlockTokens;
using ::testing::ElementsAre;

TEST(KvBranch, FillsItsLastBlockBeforeItTakesAnother) {
  BlockPool pool(4);
  const auto branch = KvBranch::Root(pool);
  ASSERT_TRUE(branch->Reserve(10));
  EXPECT_THAT(branch->pieces(), ElementsAre(BlockPiece{0, 0, 10}));
  ASSERT_TRUE(branch->Reserve(kBlockTokens));
  EXPECT_EQ(pool.used(), 1);
  ASSERT_TRUE(branch->Reserve(kBlockTokens + 1));
  EXPECT_THAT(branch->pieces(), ElementsAre(BlockPiece{0, 0, kBlockTokens}, BlockPiece{1, 0, 1}));
  EXPECT_TRUE(branch->Reserve(5)) << "it has these already";
  EXPECT_EQ(branch->tokens(), kBlockTokens + 1);
}

TEST(KvBranch, AForkSharesWhatIsBeforeItAndWritesToItsOwnBlocks) {
  BlockPool pool(8);
  const auto parent = KvBranch::Root(pool);
  ASSERT_TRUE(parent->Reserve(50));
  const auto child = KvBranch::Fork(parent, 40);
  EXPECT_EQ(pool.used(), 2) << "nothing is copied";
  ASSERT_TRUE(child->Reserve(41));
  EXPECT_THAT(child->pieces(), ElementsAre(BlockPiece{0, 0, kBlockTokens}, BlockPiece{1, 0, 8},
                                           BlockPiece{2, 8, 9}));
  ASSERT_TRUE(parent->Reserve(64)) << "and the parent goes on in its own";
  EXPECT_EQ(pool.used(), 3);
}

TEST(KvBranch, AForkAtTheEdgeOfABlockBeginsOneOfItsOwn) {
  BlockPool pool(8);
  for (const int64_t position : {0L, 31L, 32L, 33L, 64L}) {
    const auto parent = KvBranch::Root(pool);
    ASSERT_TRUE(parent->Reserve(64));
    const auto child = KvBranch::Fork(parent, position);
    ASSERT_TRUE(child->Reserve(position + 2));
    const BlockPiece& first =
        position % kBlockTokens == 31 ? *(child->pieces().end() - 2) : child->pieces().back();
    EXPECT_EQ(first.from, position % kBlockTokens);
    EXPECT_GE(first.block, 2) << position;
  }
  EXPECT_EQ(pool.used(), 0);
}

TEST(KvBranch, WhereThePoolHasTooFewNothingChanges) {
  BlockPool pool(2);
  const auto branch = KvBranch::Root(pool);
  ASSERT_TRUE(branch->Reserve(20));
  EXPECT_FALSE(branch->Reserve(100));
  EXPECT_EQ(branch->tokens(), 20);
  EXPECT_EQ(pool.free(), 1);
  EXPECT_TRUE(branch->Reserve(64));
}

TEST(KvBranch, BlocksGoBackWithTheLastOneWhoReadsThem) {
  BlockPool pool(8);
  auto parent = KvBranch::Root(pool);
  ASSERT_TRUE(parent->Reserve(70));
  auto child = KvBranch::Fork(parent, 70);
  ASSERT_TRUE(child->Reserve(71));
  auto grandchild = KvBranch::Fork(child, 71);
  parent.reset();
  child.reset();
  EXPECT_EQ(pool.used(), 4) << "a parent may go before its children";
  grandchild.reset();
  EXPECT_EQ(pool.used(), 0);
}

// Random trees: no place belongs to two branches, and the blocks are never more than promised.
TEST(KvBranch, RandomTreesKeepEveryPlaceToOneBranch) {
  RandomStream random({.seed = 17});
  BlockPool pool(4000);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::shared_ptr<KvBranch>> branches;
    std::vector<int64_t> depth;
    for (int i = 0; i < 30; ++i) {
      const uint64_t kind = random.Below(3);
      if (branches.empty() || kind == 0) {
        branches.push_back(KvBranch::Root(pool));
        depth.push_back(1);
      } else if (kind == 1) {
        const size_t parent = random.Below(branches.size());
        const auto tokens = static_cast<uint64_t>(branches[parent]->tokens());
        branches.push_back(
            KvBranch::Fork(branches[parent], static_cast<int64_t>(random.Below(tokens + 1))));
        depth.push_back(depth[parent] + 1);
      } else {
        KvBranch& branch = *branches[random.Below(branches.size())];
        ASSERT_TRUE(branch.Reserve(branch.tokens() + static_cast<int64_t>(random.Below(70))));
      }
    }
    std::set<std::pair<int32_t, int32_t>> owned;
    for (size_t i = 0; i < branches.size(); ++i) {
      int64_t position = 0;
      for (const BlockPiece& piece : branches[i]->pieces()) {
        ASSERT_EQ(piece.from, position % kBlockTokens);
        for (int32_t offset = piece.from; offset < piece.to; ++offset, ++position) {
          if (position < branches[i]->begin()) continue;
          ASSERT_TRUE(owned.insert({piece.block, offset}).second);
        }
      }
      ASSERT_EQ(position, branches[i]->tokens());
      ASSERT_LE(static_cast<int64_t>(branches[i]->pieces().size()),
                KvBranch::MostBlocks(position, depth[i]));
    }
    branches.clear();
    ASSERT_EQ(pool.used(), 0);
  }
}

}  // namespace
}  // namespace attnrl::rollout
