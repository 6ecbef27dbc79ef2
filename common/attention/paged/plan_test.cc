// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/plan.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "common/attention/paged/testing/block_tree.h"
#include "common/base/philox.h"

namespace attnrl::attention {
namespace {

// Block and offset of a token.
using Place = std::pair<int32_t, int32_t>;

std::vector<Place> Places(const RowGroup& group) {
  std::vector<Place> places;
  for (const BlockPiece& piece : group.pieces) {
    for (int32_t offset = piece.from; offset < piece.to; ++offset) {
      places.emplace_back(piece.block, offset);
    }
  }
  places.resize(static_cast<size_t>(group.first_position + group.rows));
  return places;
}

// What each row meets, task after task.
std::vector<std::vector<Place>> Met(const AttentionPlan& plan) {
  std::vector<std::vector<Place>> met(static_cast<size_t>(plan.rows()));
  std::set<int32_t> rows_of_chains;
  for (const TaskChain& chain : plan.chains()) {
    for (int32_t row = chain.first_row; row < chain.first_row + chain.rows; ++row) {
      EXPECT_TRUE(rows_of_chains.insert(row).second) << "row " << row << " is in two chains";
    }
    for (int32_t t = chain.first_task; t < chain.first_task + chain.tasks; ++t) {
      const BlockTask& task = plan.tasks()[static_cast<size_t>(t)];
      EXPECT_GE(task.first_row, chain.first_row);
      EXPECT_LE(task.first_row + task.rows, chain.first_row + chain.rows);
      for (int32_t row = task.first_row; row < task.first_row + task.rows; ++row) {
        auto& places = met[static_cast<size_t>(row)];
        for (int32_t p = task.first_piece; p < task.first_piece + task.pieces; ++p) {
          const BlockPiece& piece = plan.pieces()[static_cast<size_t>(p)];
          for (int32_t offset = piece.from; offset < piece.to; ++offset) {
            if (task.base + offset >= plan.visible()[static_cast<size_t>(row)]) break;
            EXPECT_EQ(task.base + offset, static_cast<int32_t>(places.size()));
            places.emplace_back(piece.block, offset);
          }
        }
      }
    }
  }
  EXPECT_EQ(rows_of_chains.size(), static_cast<size_t>(plan.rows()));
  return met;
}

void ExpectEachRowMeetsItsTokens(const AttentionPlan& plan, const std::vector<RowGroup>& groups) {
  const auto met = Met(plan);
  size_t row = 0;
  for (const RowGroup& group : groups) {
    const std::vector<Place> places = Places(group);
    for (int64_t i = 0; i < group.rows; ++i, ++row) {
      const auto visible = static_cast<size_t>(group.first_position + i + 1);
      const std::vector<Place> seen(places.begin(),
                                    places.begin() + static_cast<ptrdiff_t>(visible));
      ASSERT_EQ(met[row], seen) << "row " << row;
      const RowPlace own = plan.places()[row];
      ASSERT_EQ(Place(own.block, own.offset), seen.back()) << "row " << row;
    }
  }
}

TEST(AttentionPlan, LetsSiblingsMeetTheirCommonBlocksOnce) {
  BlockTree tree;
  const size_t prompt = tree.Add();
  tree.Extend(prompt, 100);
  std::vector<RowGroup> groups;
  std::vector<size_t> siblings;
  for (int i = 0; i < 6; ++i) {
    siblings.push_back(tree.Fork(prompt, 100));
    tree.Extend(siblings.back(), 50);
  }
  for (const size_t sibling : siblings) groups.push_back(tree.Rows(sibling, 149, 1));
  AttentionPlan plan;
  plan.Build(groups);
  ASSERT_EQ(plan.chains().size(), 1U);
  // Three whole blocks together; the stretch in which they part and the last one by each.
  EXPECT_EQ(plan.tasks().size(), 3U + 6 * 2);
  for (size_t task = 0; task < 3; ++task) EXPECT_EQ(plan.tasks()[task].rows, 6);
  EXPECT_EQ(plan.tasks()[3].pieces, 2);
  ExpectEachRowMeetsItsTokens(plan, groups);
}

TEST(AttentionPlan, CutsALongPromptIntoChains) {
  BlockTree tree;
  const size_t prompt = tree.Add();
  tree.Extend(prompt, 200);
  AttentionPlan plan;
  plan.Build(std::vector<RowGroup>{tree.Rows(prompt, 0, 200)});
  EXPECT_EQ(plan.chains().size(), 4U);
  ExpectEachRowMeetsItsTokens(plan, {tree.Rows(prompt, 0, 200)});
}

TEST(AttentionPlan, CanBeBuiltAgain) {
  BlockTree tree;
  const size_t a = tree.Add();
  tree.Extend(a, 40);
  AttentionPlan plan;
  plan.Build(std::vector<RowGroup>{tree.Rows(a, 0, 40)});
  plan.Build(std::vector<RowGroup>{});
  EXPECT_EQ(plan.rows(), 0);
  EXPECT_TRUE(plan.chains().empty());
  plan.Build(std::vector<RowGroup>{tree.Rows(a, 39, 1)});
  ExpectEachRowMeetsItsTokens(plan, {tree.Rows(a, 39, 1)});
}

// Random trees, in the order of their making (siblings side by side) and shuffled.
TEST(AttentionPlan, OfRandomTreesShowsEachRowItsTokensInOrder) {
  RandomStream random({.seed = 12});
  AttentionPlan plan;
  for (int round = 0; round < 300; ++round) {
    BlockTree tree;
    std::vector<size_t> sequences;
    for (int i = 0; i < 8; ++i) {
      const bool fork = !sequences.empty() && random.Below(4) > 0;
      const size_t parent = fork ? sequences[random.Below(sequences.size())] : 0;
      sequences.push_back(
          fork ? tree.Fork(parent, static_cast<int64_t>(random.Below(
                                       static_cast<uint64_t>(tree.tokens(parent)) + 1)))
               : tree.Add());
      tree.Extend(sequences.back(), 1 + static_cast<int64_t>(random.Below(100)));
    }
    std::vector<RowGroup> groups;
    for (const size_t sequence : sequences) {
      if (random.Below(4) == 0) continue;
      const int64_t tokens = tree.tokens(sequence);
      const int64_t rows =
          random.Below(2) == 0
              ? 1
              : 1 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(tokens)));
      groups.push_back(tree.Rows(sequence, tokens - rows, rows));
    }
    if (round % 2 == 1) {
      for (size_t i = groups.size(); i > 1; --i) std::swap(groups[i - 1], groups[random.Below(i)]);
    }
    plan.Build(groups);
    ASSERT_NO_FATAL_FAILURE(ExpectEachRowMeetsItsTokens(plan, groups)) << "round " << round;
  }
}

}  // namespace
}  // namespace attnrl::attention
