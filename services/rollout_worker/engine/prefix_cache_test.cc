// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/prefix_cache.h"

#include <gtest/gtest.h>

namespace attnrl::rollout {
namespace {

constexpr PrefixId kPrompt = {1, 0, 0};
constexpr PrefixId kResponse = {1, 0, 7};

std::vector<int32_t> Tokens(size_t count) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(i));
  return tokens;
}

class PrefixCacheTest : public ::testing::Test {
 protected:
  std::shared_ptr<Prefix> Find(std::vector<SharedPrefix> shared, size_t prompt,
                               uint64_t weights = 1) {
    auto found = cache_.Find(weights, shared, Tokens(prompt));
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : nullptr;
  }

  BlockPool pool_{10};
  PrefixCache cache_{pool_};
};

TEST_F(PrefixCacheTest, TheSameTextIsThere) {
  const auto first = Find({{kPrompt, 20}}, 20);
  EXPECT_EQ(first->ids.size(), 19U) << "the last token is each sequence's own";
  EXPECT_EQ(Find({{kPrompt, 20}}, 20), first);
  EXPECT_NE(Find({{kPrompt, 20}}, 20, 2), first) << "other weights";
  EXPECT_EQ(Find({}, 20), nullptr);
}

TEST_F(PrefixCacheTest, ALongerUseMakesATextLonger) {
  const auto text = Find({{kPrompt, 20}}, 20);
  EXPECT_EQ(Find({{kPrompt, 30}}, 40), text);
  EXPECT_EQ(text->ids, Tokens(30));
}

TEST_F(PrefixCacheTest, AResponseLeavesItsPrompt) {
  const auto response = Find({{kPrompt, 20}, {kResponse, 50}}, 60);
  ASSERT_NE(response->parent, nullptr);
  EXPECT_EQ(response->parent->id, kPrompt);
  EXPECT_EQ(response->begin(), 20);
  EXPECT_EQ(response->computed, 20) << "the rest is the parent's";
  EXPECT_EQ(response->ids, Tokens(50));
}

TEST_F(PrefixCacheTest, KeepsNothingOfATextWhoseNameCameWithOtherTokens) {
  for (int32_t first = 1; first <= 3; ++first) {
    const std::vector<SharedPrefix> shared = {{kPrompt, 40}};
    std::vector<int32_t> tokens = Tokens(40);
    tokens[0] = first;
    const auto text = cache_.Find(1, shared, tokens);
    ASSERT_TRUE(text.ok());
    ASSERT_TRUE(cache_.Reserve(*(*text)->kv, 39));
  }
  EXPECT_EQ(pool_.used(), 2);
  EXPECT_TRUE(cache_.Evict());
  EXPECT_EQ(pool_.used(), 0);
  EXPECT_FALSE(cache_.Evict());
}

TEST_F(PrefixCacheTest, ANameThatComesWithOtherTokensNamesThese) {
  const auto text = Find({{kPrompt, 20}}, 20);
  std::vector<int32_t> other = Tokens(20);
  other[3] = 99;
  const std::vector<SharedPrefix> shared = {{kPrompt, 20}};
  const auto anew = cache_.Find(1, shared, other);
  ASSERT_TRUE(anew.ok());
  EXPECT_EQ((*anew)->ids[3], 99);
  EXPECT_EQ(text->ids[3], 3) << "who uses the old one goes on with it";
}

TEST_F(PrefixCacheTest, RefusesTextsThatAreNotInOrder) {
  const std::vector<int32_t> other = Tokens(20);
  const std::vector<SharedPrefix> too_long = {{kResponse, 21}};
  EXPECT_TRUE(absl::IsInvalidArgument(cache_.Find(1, too_long, other).status()));
  const std::vector<SharedPrefix> falling = {{kResponse, 12}, {{5}, 11}};
  EXPECT_TRUE(absl::IsInvalidArgument(cache_.Find(1, falling, other).status()));
}

TEST_F(PrefixCacheTest, ForgetsTheTextUnusedForLongest) {
  for (uint32_t i = 0; i < 3; ++i) {
    const auto text = Find({{{i}, 20}}, 21);
    ASSERT_TRUE(text->kv->Reserve(20));
  }
  const auto used = Find({{{0}, 20}}, 21);
  EXPECT_EQ(pool_.used(), 3);
  EXPECT_TRUE(cache_.Evict());
  EXPECT_NE(Find({{{2}, 20}}, 21)->kv->tokens(), 0) << "1 went first";
  EXPECT_TRUE(cache_.Evict());
  EXPECT_FALSE(cache_.Evict()) << "what is left is in use";
  EXPECT_EQ(pool_.used(), 1);
}

TEST_F(PrefixCacheTest, AnAncestorStaysAsLongAsWhatLeavesIt) {
  auto response = Find({{kPrompt, 20}, {kResponse, 50}}, 60);
  EXPECT_FALSE(cache_.Evict());
  response.reset();
  EXPECT_TRUE(cache_.Evict());
  EXPECT_TRUE(cache_.Evict());
  EXPECT_FALSE(cache_.Evict());
  EXPECT_EQ(pool_.used(), 0);
}

TEST_F(PrefixCacheTest, AResponseThatHasEndedIsATextForItsContinuations) {
  auto prompt = Find({{kPrompt, 20}}, 20);
  ASSERT_TRUE(prompt->kv->Reserve(19));
  auto kv = KvBranch::Fork(prompt->kv, 19);
  ASSERT_TRUE(kv->Reserve(60));
  cache_.Add(1, kResponse, prompt, Tokens(60), kv, 59);
  const auto found = Find({{kPrompt, 20}, {kResponse, 45}}, 50);
  EXPECT_EQ(found->kv, kv);
  EXPECT_EQ(found->computed, 59);
}

TEST_F(PrefixCacheTest, WhatIsInUseOutlivesItsWeights) {
  const auto used = Find({{kPrompt, 20}}, 20);
  ASSERT_TRUE(used->kv->Reserve(19));
  Find({{kResponse, 20}}, 20);
  cache_.Drop(1);
  EXPECT_EQ(cache_.size(), 0U);
  EXPECT_EQ(pool_.used(), 1);
  EXPECT_NE(Find({{kPrompt, 20}}, 20), used) << "but nobody finds it any more";
}

}  // namespace
}  // namespace attnrl::rollout
