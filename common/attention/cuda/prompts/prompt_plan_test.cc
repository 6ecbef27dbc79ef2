// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/prompts/prompt_plan.h"

#include <gtest/gtest.h>

#include <vector>

#include "common/attention/paged/testing/block_tree.h"

namespace attnrl::attention {
namespace {

using Numbers = std::vector<int32_t>;

// A decoding row, a prompt's second chunk, two decoding rows, a whole prompt, a short one.
struct Pass {
  BlockTree tree;
  AttentionPlan plan;

  Pass() {
    std::vector<RowGroup> groups;
    for (const auto& [first, rows] : std::vector<std::pair<int64_t, int64_t>>{
             {9, 1}, {40, 35}, {50, 1}, {3, 1}, {0, 32}, {0, 31}}) {
      const size_t sequence = tree.Add();
      tree.Extend(sequence, first + rows);
      groups.push_back(tree.Rows(sequence, first, rows));
    }
    plan.Build(groups);
  }
};

TEST(PromptPlan, TakesRowsOfOneSequenceThatAreEnough) {
  const Pass pass;
  PromptPlan prompts;
  prompts.Build(pass.plan, {}, 1000);
  EXPECT_EQ(prompts.query_ends(), Numbers({0, 1, 36, 38, 70, 101}));
  EXPECT_EQ(prompts.key_ends(), Numbers({0, 0, 75, 75, 107, 107}));
  EXPECT_EQ(prompts.keys(), 107);
  for (int64_t row = 0; row < pass.plan.rows(); ++row) {
    const bool is_prompt = (row >= 1 && row < 36) || (row >= 38 && row < 70);
    EXPECT_EQ(prompts.rows()[static_cast<size_t>(row)], is_prompt) << row;
  }
}

TEST(PromptPlan, GathersEachTokenOfAPromptOnceInTheOrderOfPositions) {
  Pass pass;
  const size_t child = pass.tree.Fork(1, 45);  // in the middle of a block
  pass.tree.Extend(child, 60);
  pass.plan.Build(std::vector<RowGroup>{pass.tree.Rows(child, 70, 35)});
  PromptPlan prompts;
  prompts.Build(pass.plan, {}, 1000);
  int32_t next = 0;
  for (const GatheredPiece& piece : prompts.pieces()) {
    EXPECT_EQ(piece.row + piece.from, next);
    EXPECT_EQ(piece.from, next % kBlockTokens);
    next += piece.to - piece.from;
  }
  EXPECT_EQ(next, 105);
  EXPECT_EQ(prompts.pieces().size(), 5U) << "two of the second stretch";
}

TEST(PromptPlan, LeavesWhatIsScoredOrHasNoRoomToTheKernelsOfDecoding) {
  const Pass pass;
  PromptPlan prompts;
  const ScoredRow scored{.row = 35};  // the chunk's last
  prompts.Build(pass.plan, std::vector<ScoredRow>{scored}, 1000);
  EXPECT_EQ(prompts.keys(), 32);
  EXPECT_EQ(prompts.query_ends(), Numbers({0, 38, 70, 101}));
  prompts.Build(pass.plan, {}, 74);
  EXPECT_EQ(prompts.keys(), 32) << "the chunk's 75 keys are too many";
  prompts.Build(pass.plan, {}, 31);
  EXPECT_EQ(prompts.keys(), 0);
  EXPECT_EQ(prompts.query_ends(), Numbers({0}));
  EXPECT_TRUE(prompts.pieces().empty());
}

}  // namespace
}  // namespace attnrl::attention
