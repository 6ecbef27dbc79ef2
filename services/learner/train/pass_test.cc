// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/pass.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/attention/tree_attention.h"
#include "services/learner/testing/pass_sequences.h"

namespace attnrl::learner {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> Values(const at::Tensor& tensor) {
  return {tensor.data_ptr<int64_t>(), tensor.data_ptr<int64_t>() + tensor.numel()};
}

TEST(MakePass, GivesEveryDistinctPrefixOneRow) {
  const std::vector<Sequence> sequences = {
      {{1, 2}, {3, 4, 5}}, {{1, 2}, {3, 6}}, {{1, 2}, {3}}, {{7}, {3, 4}}};
  const Pass pass = MakePass(Views(sequences), Prefixes::kOnce, at::kCPU);
  // In lexicographic order: 1 2 (3) | 1 2 3 4 (5) | 1 2 3 (6) | 7 3 (4).
  EXPECT_THAT(Values(pass.ids), ElementsAre(1, 2, 3, 4, 7, 3));
  EXPECT_THAT(Values(pass.positions), ElementsAre(0, 1, 2, 3, 0, 1));
  EXPECT_THAT(pass.lengths, ElementsAre(4, 3, 2, 2));
  EXPECT_THAT(pass.row_of, ElementsAre(0, 1, 2, 3, 0, 1, 2, 0, 1, 4, 5));
  EXPECT_THAT(Values(pass.scored), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(Values(pass.scored_by), ElementsAre(0, 1, 2, 0, 1, 0, 3, 4));
  EXPECT_THAT(Values(pass.targets), ElementsAre(3, 4, 5, 3, 6, 3, 3, 4));
  EXPECT_EQ(pass.distinct_tokens, 6);  // 3 4 5, 6, 3 4
  EXPECT_EQ(pass.attended, 1 + 2 + 3 + 4 + 1 + 2);
}

TEST(MakePass, WithoutSharingEveryTokenHasItsRow) {
  const Pass pass = MakePass(Views(Forest()), Prefixes::kEach, at::kCPU);
  EXPECT_EQ(static_cast<size_t>(pass.ids.numel()), pass.row_of.size());
  EXPECT_EQ(std::set<int64_t>(pass.row_of.begin(), pass.row_of.end()).size(), pass.row_of.size());
  EXPECT_EQ(pass.scored.numel(), pass.targets.numel());
}

TEST(MakePass, CountsEveryDistinctTokenOfTheResponsesOnce) {
  std::set<std::vector<int32_t>> prefixes;
  for (const Sequence& sequence : Forest()) {
    std::vector<int32_t> tokens = sequence.prompt;
    for (int32_t token : sequence.response) {
      tokens.push_back(token);
      prefixes.insert(tokens);
    }
  }
  const Pass pass = MakePass(Views(Forest()), Prefixes::kOnce, at::kCPU);
  EXPECT_EQ(pass.distinct_tokens, static_cast<int64_t>(prefixes.size()));
}

// Whether two responses behind a prompt, of so many tokens each, are attended to as a tree.
bool AttendsToTree(size_t tokens, int64_t head_dim, int64_t heads = 1) {
  const std::vector<int32_t> prompt(tokens, 1);
  const std::vector<Sequence> sequences = {{prompt, std::vector<int32_t>(tokens, 2)},
                                           {prompt, std::vector<int32_t>(tokens, 3)}};
  const Pass pass = MakePass(Views(sequences), Prefixes::kOnce, at::kCPU);
  model::ModelConfig config;
  config.kv_heads = 1;
  config.heads = heads;
  config.head_dim = head_dim;
  const auto attention = MakeAttention(pass, config, at::kFloat);
  return dynamic_cast<attention::TreeAttention*>(attention.get()) != nullptr;
}

TEST(MakeAttention, ReadsSegmentsInPlaceWhereOwnKernelsServeTheirHeads) {
  EXPECT_TRUE(AttendsToTree(600, 64));
  EXPECT_TRUE(AttendsToTree(10, 64));
}

// As the engine's cache does. The gradient is that of what wasn't rounded, in full.
TEST(MakeAttention, RoundsKeysAndValuesWhereActivationsAreWiderThanWeights) {
  model::ModelConfig config;
  config.heads = config.kv_heads = 1;
  config.head_dim = 16;
  const std::vector<Sequence> sequences = {{{1, 2}, {3, 1, 2}}};
  const Pass pass = MakePass(Views(sequences), Prefixes::kEach, at::kCPU);
  const auto draw = [&](double step) {
    return at::sin(step * at::arange(pass.ids.numel() * 16)).view({-1, 1, 16});
  };
  const at::Tensor q = draw(1), k = draw(2);
  at::Tensor v = draw(3).set_requires_grad(true);
  const auto rounded = [](const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kFloat); };
  const at::Tensor found = MakeAttention(pass, config, at::kBFloat16)->Forward(0, q, k, v);
  const at::Tensor known =
      MakeAttention(pass, config, at::kBFloat16)->Forward(0, q, rounded(k), rounded(v).detach());
  EXPECT_TRUE(at::equal(found.detach(), known));
  found.backward(draw(5));
  EXPECT_FALSE(at::equal(v.grad(), rounded(v.grad())));
}

TEST(MakeAttention, ReadsLongSegmentsInPlaceAndPadsShortOnesElsewhere) {
  EXPECT_TRUE(AttendsToTree(600, 4));
  EXPECT_FALSE(AttendsToTree(100, 4));
}

TEST(MakeAttention, ReadsShortSegmentsInPlaceWhereCopiesOfKeysWouldTakeMuch) {
  EXPECT_TRUE(AttendsToTree(100, 4, /*heads=*/1 << 16));
  EXPECT_FALSE(AttendsToTree(100, 4, /*heads=*/1 << 13));
}

TEST(AttentionBytes, AreThoseOfDenseAttentionWhereNoOtherWayIs) {
  model::ModelConfig config;
  config.heads = 16;
  config.kv_heads = 4;
  config.head_dim = 128;
  const auto bytes = [&](at::Device device, at::ScalarType dtype) {
    // 8 K rows of which one response is made, and continuations at its end.
    const std::vector<attention::DenseSequence> sequences = {
        {.length = 8192}, {.length = 8192, .shared = 8000}, {.length = 8192, .shared = 8000}};
    return AttentionBytes(config, device, dtype, sequences, /*layers=*/1);
  };
  const int64_t rows = 8192 + 2 * 192, keys = 3 * 8192;
  const int64_t call = 2 * 4 * 128 * 16 * (rows + keys) + 4 * 16 * rows;
  EXPECT_EQ(bytes(at::kCUDA, at::kFloat), 2 * call + 2 * 8 * (rows + keys) + 4 * 2 * 192 * 8192);
  EXPECT_LE(bytes(at::kCUDA, at::kBFloat16), kMostDenseBytes + 8 * (rows + keys) * 2 * 2);
}

class PlanPassesTest : public ::testing::TestWithParam<Prefixes> {};

TEST_P(PlanPassesTest, KeepsTheBudgetAndTakesEverySequenceOnce) {
  const std::vector<PassSequence> sequences = Views(Forest());
  for (const int64_t budget : {1, 6, 9, 1000}) {
    std::vector<size_t> all;
    for (const std::vector<size_t>& members : PlanPasses(sequences, GetParam(), budget)) {
      std::vector<PassSequence> pass;
      for (size_t i : members) pass.push_back(sequences[i]);
      EXPECT_TRUE(MakePass(pass, GetParam(), at::kCPU).ids.numel() <= budget || pass.size() == 1 ||
                  budget == 1);
      all.insert(all.end(), members.begin(), members.end());
    }
    std::sort(all.begin(), all.end());
    EXPECT_THAT(all, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7)) << budget;
  }
}

INSTANTIATE_TEST_SUITE_P(Prefixes, PlanPassesTest,
                         ::testing::Values(Prefixes::kOnce, Prefixes::kEach));

TEST(PlanPasses, PutsLongSequencesFirstWhereNothingIsShared) {
  const std::vector<int32_t> tokens(40);
  std::vector<PassSequence> sequences;
  for (const size_t rows : {5u, 9u, 3u, 30u, 8u, 1u, 10u}) {
    sequences.push_back({std::span(tokens).first(1), std::span(tokens).first(rows)});
  }
  EXPECT_THAT(PlanPasses(sequences, Prefixes::kEach, 20),
              ElementsAre(ElementsAre(3), ElementsAre(6, 1), ElementsAre(4, 0, 2, 5)));
}

TEST(PlanPasses, AreAsEvenAsTheyCanBeWithoutBecomingMore) {
  const std::vector<int32_t> tokens(40);
  std::vector<PassSequence> sequences;
  for (int i = 0; i < 5; ++i) {
    sequences.push_back({std::span(tokens).first(1), std::span(tokens).first(10)});
  }
  EXPECT_THAT(PlanPasses(sequences, Prefixes::kEach, 40),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3, 4)));
}

TEST(PlanPasses, PutsWhatBeginsAlikeTogether) {
  EXPECT_THAT(PlanPasses(Views(Forest()), Prefixes::kOnce, 8),
              ElementsAre(ElementsAre(3, 6, 0, 2, 4), ElementsAre(7, 1, 5)));
}

}  // namespace
}  // namespace attnrl::learner
