// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/minibatch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace attnrl::learner {
namespace {

// `responses` of `leaves` samples each for every problem.
std::vector<SamplePlace> Batch(uint32_t problems, uint32_t responses, uint32_t leaves) {
  std::vector<SamplePlace> places;
  for (uint32_t p = 0; p < problems; ++p) {
    for (uint32_t r = 0; r < responses; ++r) places.insert(places.end(), leaves, {p, r});
  }
  return places;
}

std::vector<size_t> Sizes(const std::vector<std::vector<size_t>>& minibatches) {
  std::vector<size_t> sizes;
  for (const auto& minibatch : minibatches) sizes.push_back(minibatch.size());
  return sizes;
}

TEST(CutMinibatches, TakesEverySampleOnce) {
  const auto places = Batch(17, 3, 5);
  const auto cut = CutMinibatches(places, {.minibatch_problems = 4, .initial_responses = 6});
  std::vector<size_t> all;
  for (const auto& minibatch : cut) all.insert(all.end(), minibatch.begin(), minibatch.end());
  std::sort(all.begin(), all.end());
  std::vector<size_t> expected(places.size());
  std::iota(expected.begin(), expected.end(), size_t{0});
  EXPECT_EQ(all, expected);
}

TEST(CutMinibatches, CountIsTheRoundedShareAndAtLeastOne) {
  EXPECT_EQ(CutMinibatches(Batch(64, 6, 1), {.minibatch_problems = 32}).size(), 2u);
  EXPECT_EQ(CutMinibatches(Batch(40, 6, 1), {.minibatch_problems = 32}).size(), 1u);
  EXPECT_EQ(CutMinibatches(Batch(48, 6, 1), {.minibatch_problems = 32}).size(), 2u);  // 1.5
  EXPECT_EQ(CutMinibatches(Batch(1, 2, 1), {.minibatch_problems = 32}).size(), 1u);
  EXPECT_TRUE(CutMinibatches({}, {}).empty());
}

TEST(CutMinibatches, StepsPerBatchSayTheCountWhateverTheSamples) {
  for (const uint32_t leaves : {1u, 5u}) {
    const auto cut = CutMinibatches(Batch(20, 6, leaves), {.steps_per_batch = 4});
    EXPECT_EQ(Sizes(cut), std::vector<size_t>(4, 30 * leaves));
  }
  EXPECT_EQ(CutMinibatches(Batch(1, 3, 5), {.steps_per_batch = 4}).size(), 3u);
}

TEST(CutMinibatches, SizesAreNearEqual) {
  EXPECT_EQ(
      Sizes(CutMinibatches(Batch(30, 1, 1), {.minibatch_problems = 10, .initial_responses = 1})),
      (std::vector<size_t>{10, 10, 10}));
  // Responses of five leaves: no share is further than half a response from even.
  const auto cut =
      CutMinibatches(Batch(23, 3, 5), {.minibatch_problems = 12, .initial_responses = 6});
  ASSERT_EQ(cut.size(), 5u);
  size_t end = 0;
  for (size_t k = 0; k < cut.size(); ++k) {
    end += cut[k].size();
    EXPECT_LE(std::abs(static_cast<double>(end) - 345.0 * static_cast<double>(k + 1) / 5), 2.5);
  }
}

TEST(CutMinibatches, NeverSplitsAnExpandedResponse) {
  const auto places = Batch(11, 3, 5);
  std::set<std::pair<uint32_t, uint32_t>> seen;
  for (const auto& minibatch :
       CutMinibatches(places, {.minibatch_problems = 3, .initial_responses = 6})) {
    std::set<std::pair<uint32_t, uint32_t>> here;
    for (size_t i : minibatch) here.insert({places[i].position, places[i].response});
    for (const auto& response : here) EXPECT_TRUE(seen.insert(response).second);
  }
  EXPECT_EQ(seen.size(), 33u);
}

TEST(CutMinibatches, NeverLeavesOneEmptyWhereAResponseIsHuge) {
  std::vector<SamplePlace> places(50, {0, 0});
  places.insert(places.end(), {{1, 0}, {2, 0}});
  const auto cut = CutMinibatches(places, {.minibatch_problems = 1, .initial_responses = 10});
  ASSERT_EQ(cut.size(), 3u);
  for (const auto& minibatch : cut) EXPECT_FALSE(minibatch.empty());
}

TEST(CutMinibatches, OrderDependsOnSeedAndBatchAlone) {
  const auto places = Batch(40, 6, 1);
  const MinibatchOptions options{.seed = 7, .batch = 3};
  EXPECT_EQ(CutMinibatches(places, options), CutMinibatches(places, options));
  EXPECT_NE(CutMinibatches(places, options), CutMinibatches(places, {.seed = 8, .batch = 3}));
  EXPECT_NE(CutMinibatches(places, options), CutMinibatches(places, {.seed = 7, .batch = 4}));
}

}  // namespace
}  // namespace attnrl::learner
