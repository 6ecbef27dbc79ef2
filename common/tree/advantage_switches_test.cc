// SPDX-License-Identifier: Apache-2.0
// Advantages with the switches that the published algorithm leaves as they are.
#include <gtest/gtest.h>

#include "common/tree/advantages.h"

namespace attnrl::tree {
namespace {

TEST(TreeAdvantages, TrainUnexpandedResponsesAsOneSegmentBelowTheRootWhereToldTo) {
  ProblemTree problem;
  problem.responses.push_back({4, 1, {{2, {{3, 0}, {3, 1}}}}});
  problem.responses.push_back({5, 0, {}});
  const auto without = *ComputeTreeAdvantages(problem);
  const auto with = *ComputeTreeAdvantages(problem, /*train_unexpanded=*/true);
  ASSERT_EQ(without.leaves.size(), 3u);
  ASSERT_EQ(with.leaves.size(), 4u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(with.leaves[i].segments[0].advantage, without.leaves[i].segments[0].advantage);
  }
  ASSERT_EQ(with.leaves[3].segments.size(), 1u);
  EXPECT_EQ(with.leaves[3].segments[0].length, 5);
  EXPECT_DOUBLE_EQ(with.leaves[3].segments[0].advantage, 2 * (0 - 0.5));  // V(root) = 1 / 2
}

TEST(GroupAdvantages, AreNotDividedByTheDeviationWhereToldTo) {
  ProblemTree problem;
  for (const double reward : {1.0, 0.0, 0.0, 0.0}) problem.responses.push_back({3, reward, {}});
  const auto advantages = *ComputeGroupAdvantages(problem, /*divide=*/false);
  EXPECT_DOUBLE_EQ(advantages.leaves[0].segments[0].advantage, 0.75);
  EXPECT_DOUBLE_EQ(advantages.leaves[1].segments[0].advantage, -0.25);
}

TEST(OverlongPenalty, RisesOverTheBufferBeforeTheLongestResponse) {
  EXPECT_EQ(OverlongPenalty(60, 100, 40), 0);
  EXPECT_DOUBLE_EQ(OverlongPenalty(70, 100, 40), 0.25);
  EXPECT_EQ(OverlongPenalty(100, 100, 40), 1);
  EXPECT_EQ(OverlongPenalty(1, 100, 40), 0);
}

TEST(Penalties, LowerAdvantagesButNeitherRewardsNorTheDropRule) {
  ProblemTree problem;
  problem.responses.push_back({3, 1, {}, 0.5});
  problem.responses.push_back({3, 0, {}});
  const auto group = *ComputeGroupAdvantages(problem, /*divide=*/false);
  EXPECT_DOUBLE_EQ(group.leaves[0].segments[0].advantage, 0.25);
  EXPECT_EQ(group.leaves[0].reward, 1);
  problem.responses[1].reward = 1;
  EXPECT_TRUE(ComputeGroupAdvantages(problem)->dropped) << "only the lengths differ";

  ProblemTree tree;
  tree.responses.push_back({4, 0, {{2, {{3, 1, 0.5}, {3, 1}}}}});
  const auto leaves = ComputeTreeAdvantages(tree)->leaves;
  // V(root) = V(parent) = (0 + 0.5 + 1) / 3
  EXPECT_DOUBLE_EQ(leaves[1].segments.back().advantage, 2 * (0.5 - 0.5));
  EXPECT_DOUBLE_EQ(leaves[2].segments.back().advantage, 2 * (1 - 0.5));
}

}  // namespace
}  // namespace attnrl::tree
