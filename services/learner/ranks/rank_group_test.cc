// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/rank_group.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "services/learner/testing/memory_ranks.h"

namespace attnrl::learner {
namespace {

TEST(Exchange, HandsEveryRankItsRowOfAll) {
  RunRanks(3, [](RankGroup& group) {
    const at::Tensor parts = at::arange(6).view({3, 2}) + 10 * group.rank();
    const at::Tensor received = Exchange(group, parts).Wait();
    const at::Tensor expected =
        at::arange(0, 30, 10).view({3, 1}) + at::arange(2).view({1, 2}) + 2 * group.rank();
    EXPECT_TRUE(at::equal(received, expected)) << received;
  });
}

TEST(AllGather, FillsTheRowsOfTheOthers) {
  RunRanks(3, [](RankGroup& group) {
    const at::Tensor rows = at::zeros({3, 4});
    rows[group.rank()].fill_(group.rank() + 1);
    AllGather(group, rows);
    EXPECT_TRUE(at::equal(rows, at::arange(1, 4).view({3, 1}).expand({3, 4}).to(at::kFloat)));
  });
}

TEST(Broadcast, MakesTheTensorOfTheFirstThatOfAll) {
  RunRanks(4, [](RankGroup& group) {
    const at::Tensor tensor = at::full({5}, group.rank());
    Broadcast(group, tensor);
    EXPECT_TRUE(at::equal(tensor, at::zeros({5}, at::kLong)));
  });
}

TEST(BroadcastBytes, BringsTextOfAnyLengthToAll) {
  for (const std::string& text : {std::string(), std::string("a\0b", 3), std::string(1000, 'x')}) {
    RunRanks(3, [&](RankGroup& group) {
      EXPECT_EQ(BroadcastBytes(group, group.rank() == 0 ? text : "other"), text);
    });
  }
}

TEST(FirstAlike, NamesTheTwoToEveryRank) {
  RunRanks(4, [](RankGroup& group) {
    EXPECT_EQ(FirstAlike(group, "gpu " + std::to_string(group.rank())), std::nullopt);
    const std::string shared = "gpu " + std::to_string(group.rank() % 3);
    EXPECT_EQ(FirstAlike(group, shared), std::pair(0, 3));
  });
}

TEST(PairwiseSum, IsTheSameToTheBitHoweverManyOfFourAreAddedUpBefore) {
  std::vector<at::Tensor> tensors;
  for (int i = 0; i < 4; ++i) tensors.push_back(at::randn({1000}));
  const at::Tensor all = PairwiseSum(tensors);
  const at::Tensor halves =
      PairwiseSum({PairwiseSum({tensors[0], tensors[1]}), PairwiseSum({tensors[2], tensors[3]})});
  EXPECT_TRUE(at::equal(all, halves));
  EXPECT_FALSE(at::equal(all, tensors[0] + tensors[1] + tensors[2] + tensors[3]));
}

}  // namespace
}  // namespace attnrl::learner
