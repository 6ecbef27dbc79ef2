// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "services/rollout_worker/sampling/kernel.h"

namespace attnrl::rollout {
namespace {

// softmax(log p) = p, so these rows have the probabilities written here.
std::vector<float> Logits(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

const std::vector<double> kProbabilities = {0.1, 0.4, 0.2, 0.05, 0.25};

std::vector<double> Frequencies(const std::vector<float>& logits, const SamplingParams& params,
                                int draws = 20000) {
  Sampler sampler;
  std::vector<double> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i) {
    const auto token = sampler.Sample(logits, params, {.seed = 3}, static_cast<uint32_t>(i));
    counts[static_cast<size_t>(token.id)] += 1.0 / draws;
  }
  return counts;
}

TEST(Sampler, DrawsTokensWithTheirProbability) {
  const std::vector<double> found = Frequencies(Logits(kProbabilities), {});
  for (size_t id = 0; id < found.size(); ++id) EXPECT_NEAR(found[id], kProbabilities[id], 0.012);
}

TEST(Sampler, AppliesTheTemperatureBeforeDrawing) {
  const std::vector<double> found = Frequencies(Logits(kProbabilities), {.temperature = 0.5});
  double total = 0;
  for (const double p : kProbabilities) total += p * p;
  for (size_t id = 0; id < found.size(); ++id) {
    EXPECT_NEAR(found[id], kProbabilities[id] * kProbabilities[id] / total, 0.012);
  }
}

TEST(Sampler, TopKKeepsTheMostLikelyInProportion) {
  const std::vector<double> found = Frequencies(Logits(kProbabilities), {.top_k = 2});
  EXPECT_NEAR(found[1], 0.4 / 0.65, 0.012);
  EXPECT_NEAR(found[4], 0.25 / 0.65, 0.012);
  EXPECT_EQ(found[0] + found[2] + found[3], 0);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  const std::vector<double> found = Frequencies(Logits(kProbabilities), {.top_p = 0.66});
  EXPECT_NEAR(found[1], 0.4 / 0.85, 0.012);
  EXPECT_NEAR(found[4], 0.25 / 0.85, 0.012);
  EXPECT_NEAR(found[2], 0.2 / 0.85, 0.012);
  EXPECT_EQ(found[0] + found[3], 0);
}

TEST(Sampler, TopPCountsWithinWhatTopKLeft) {
  // Of 0.4 and 0.25, 0.4 alone is 0.615 of what top-k left.
  const std::vector<double> found =
      Frequencies(Logits(kProbabilities), {.top_p = 0.6, .top_k = 2}, 500);
  EXPECT_NEAR(found[1], 1, 1e-9);
}

TEST(Sampler, ATinyTopPStillKeepsOneToken) {
  EXPECT_NEAR(Frequencies(Logits(kProbabilities), {.top_p = 1e-9}, 500)[1], 1, 1e-9);
}

TEST(Sampler, EqualTokensAreCutFromTheHighestId) {
  const std::vector<double> found = Frequencies({1, 1, 1, 1}, {.top_k = 2}, 500);
  EXPECT_GT(found[0], 0);
  EXPECT_GT(found[1], 0);
  EXPECT_EQ(found[2] + found[3], 0);
}

TEST(Sampler, AWideTopKChangesNothing) {
  Sampler sampler;
  const std::vector<float> logits = Logits(kProbabilities);
  for (uint32_t i = 0; i < 200; ++i) {
    EXPECT_EQ(sampler.Sample(logits, {}, {.seed = 1}, i).id,
              sampler.Sample(logits, {.top_k = 99}, {.seed = 1}, i).id);
  }
}

TEST(Sampler, GreedyTakesTheLowestIdAmongEquals) {
  Sampler sampler;
  const std::vector<float> logits = {0, 2, 1, 2};
  EXPECT_EQ(sampler.Sample(logits, {.temperature = 0}, {}, 0).id, 1);
}

TEST(Sampler, ReportsTheFullDistributionWhateverIsCutOff) {
  Sampler sampler;
  const std::vector<float> logits = Logits(kProbabilities);
  double entropy = 0;
  for (const double p : kProbabilities) entropy -= p * std::log(p);
  for (const SamplingParams& params :
       {SamplingParams{}, SamplingParams{.top_k = 1}, SamplingParams{.top_p = 0.1},
        SamplingParams{.temperature = 0}}) {
    const auto token = sampler.Sample(logits, params, {.seed = 9}, 4);
    EXPECT_NEAR(token.logprob, std::log(kProbabilities[static_cast<size_t>(token.id)]), 1e-6);
    EXPECT_NEAR(token.entropy, entropy, 1e-6);
  }
}

TEST(Sampler, LogProbsAreThoseOfTheTemperature) {
  Sampler sampler;
  const auto token =
      sampler.Sample(std::vector<float>{0, 1}, {.temperature = 0.25}, {.seed = 2}, 0);
  const double log_total = std::log(1 + std::exp(4.0));
  EXPECT_NEAR(token.logprob, (token.id == 1 ? 4 : 0) - log_total, 1e-6);
}

TEST(Sampler, IsAPureFunctionOfKeyAndIndex) {
  Sampler first;
  Sampler second;
  const std::vector<float> logits(50, 0.5f);
  const RandomKey key{.seed = 1, .purpose = kSampleToken, .batch = 2, .position = 3, .node = 4};
  const int32_t id = first.Sample(logits, {}, key, 7).id;
  for (uint32_t i = 0; i < 20; ++i) (void)second.Sample(logits, {}, {.seed = 8}, i);
  EXPECT_EQ(second.Sample(logits, {}, key, 7).id, id);
  EXPECT_EQ(id, static_cast<int32_t>(RandomUniform(key, 7) * 50));
}

TEST(Sampler, NeverDrawsATokenWithoutProbability) {
  Sampler sampler;
  const std::vector<float> logits = {0, -2000, 0, -2000};
  for (uint32_t i = 0; i < 500; ++i) {
    EXPECT_EQ(sampler.Sample(logits, {}, {.seed = 6}, i).id % 2, 0);
  }
}

TEST(Sampler, RefusesLogitsThatAreNotFinite) {
  Sampler sampler;
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto token = sampler.Sample(std::vector<float>{0, bad, 1}, {}, {}, 0);
    EXPECT_EQ(token.id, -1);
  }
}

// Softmax, top-k and top-p as their definitions read, in float64 with everything sorted. Draws are
// compared at the middle of each token's stretch of the cumulative distribution.
struct Reference {
  std::vector<double> kept;  // probabilities of what is drawn from
  std::vector<double> logprobs;
  double entropy = 0;

  Reference(const std::vector<float>& logits, const SamplingParams& params) {
    const double largest = *std::max_element(logits.begin(), logits.end());
    double total = 0;
    for (const float logit : logits) total += std::exp((logit - largest) / params.temperature);
    for (const float logit : logits) {
      logprobs.push_back((logit - largest) / params.temperature - std::log(total));
      entropy -= std::exp(logprobs.back()) * logprobs.back();
    }
    std::vector<size_t> order(logits.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    if (params.top_k > 0) order.resize(std::min(order.size(), static_cast<size_t>(params.top_k)));
    double mass = 0;
    for (const size_t id : order) mass += std::exp(logprobs[id]);
    double sum = 0;
    kept.assign(logits.size(), 0);
    for (const size_t id : order) {
      if (params.top_p < 1 && sum > 0 && sum >= params.top_p * mass) break;
      kept[id] = std::exp(logprobs[id]);
      sum += kept[id];
    }
    for (double& p : kept) p /= sum;
  }
};

TEST(Sampler, DrawsWhatTheDefinitionsSayFromLongRows) {
  RandomStream random({.seed = 21});
  Sampler sampler;
  int checked = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<float> logits(1 + random.Below(5000));
    for (float& logit : logits) logit = static_cast<float>(8 * random.Uniform());
    if (round % 3 == 0) {
      for (float& logit : logits) logit = std::round(logit);  // many equals
    }
    const SamplingParams params{
        .temperature = 0.5 + random.Uniform(),
        .top_p = round % 2 == 0 ? 1 : 0.05 + 0.9 * random.Uniform(),
        .top_k = round % 4 < 2 ? 0 : 1 + static_cast<int64_t>(random.Below(300))};
    const Reference reference(logits, params);
    std::vector<double> begin(logits.size() + 1, 0);
    for (size_t id = 0; id < logits.size(); ++id) begin[id + 1] = begin[id] + reference.kept[id];
    for (uint32_t index = 0; index < 20; ++index) {
      const RandomKey key{.seed = static_cast<uint64_t>(round)};
      const SampledToken token = sampler.Sample(logits, params, key, index);
      ASSERT_GE(token.id, 0);
      const auto id = static_cast<size_t>(token.id);
      ASSERT_GT(reference.kept[id], 0) << round;
      ASSERT_NEAR(token.logprob, reference.logprobs[id], 2e-6);
      ASSERT_NEAR(token.entropy, reference.entropy, 1e-5);
      const double uniform = RandomUniform(key, index);
      ASSERT_GE(uniform, begin[id] - 1e-6) << round;
      ASSERT_LE(uniform, begin[id + 1] + 1e-6) << round;
      ++checked;
    }
  }
  EXPECT_EQ(checked, 1200);
}

TEST(SamplerKernels, GiveTheSameBitsWithEveryInstructionSet) {
  RandomStream random({.seed = 8});
  std::vector<float> logits(1000);
  for (float& logit : logits) logit = static_cast<float>(30 * random.Uniform() - 15);
  std::vector<float> expected(logits.size());
  const SamplerKernel& first = *AllSamplerKernels().front();
  float largest = 0;
  ASSERT_TRUE(first.largest(logits.data(), 1000, &largest));
  for (const int64_t n : {1, 15, 16, 17, 1000}) {
    const BlockSums sums = first.weigh(logits.data(), n, largest, 0.7F, expected.data());
    for (const SamplerKernel* kernel : AllSamplerKernels()) {
      float found = 0;
      EXPECT_TRUE(kernel->largest(logits.data(), 1000, &found));
      EXPECT_EQ(found, largest) << kernel->isa;
      std::vector<float> weights(logits.size());
      const BlockSums other = kernel->weigh(logits.data(), n, largest, 0.7F, weights.data());
      EXPECT_EQ(other.weight, sums.weight) << kernel->isa;
      EXPECT_EQ(other.weighted, sums.weighted) << kernel->isa;
      for (size_t i = 0; i < static_cast<size_t>(n); ++i) ASSERT_EQ(weights[i], expected[i]);
    }
  }
}

}  // namespace
}  // namespace attnrl::rollout
