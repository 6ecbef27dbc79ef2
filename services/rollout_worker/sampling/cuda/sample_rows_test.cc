// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "common/base/philox.h"
#include "common/kernels/cuda/testing/emulator.h"
#include "services/rollout_worker/sampling/sampler.h"
#include "services/rollout_worker/testing/emulated_sampling.h"

namespace attnrl::rollout {
namespace {

using cuda::ThreadOrder;

// What is drawn of each row, with key {.seed = row} at index 3.
std::vector<SampledToken> Draw(const std::vector<float>& logits, int64_t vocabulary,
                               const std::vector<SamplingParams>& params, ThreadOrder order) {
  const auto count = static_cast<int64_t>(params.size());
  std::vector<double> uniforms, temperatures, top_p;
  std::vector<int64_t> top_k;
  bool truncates = false;
  for (int64_t row = 0; row < count; ++row) {
    const SamplingParams& each = params[static_cast<size_t>(row)];
    uniforms.push_back(RandomUniform({.seed = static_cast<uint64_t>(row)}, 3));
    temperatures.push_back(each.temperature);
    top_k.push_back(each.top_k);
    top_p.push_back(each.top_p);
    truncates = truncates || Truncates(each);
  }
  SampleRows rows{.logits = logits.data(),
                  .vocabulary = vocabulary,
                  .blocks = SampleRows::BlocksOf(vocabulary),
                  .uniforms = uniforms.data(),
                  .temperatures = temperatures.data()};
  const auto all = static_cast<size_t>(count * rows.blocks);
  std::vector<float> largest(all, NAN), weight(all, NAN), weighted(all, NAN), least(all, NAN);
  std::vector<double> kept(all, NAN), drawn(static_cast<size_t>(count * 3), NAN);
  std::vector<int32_t> ties(all, -1);
  rows.block_largest = largest.data();
  rows.block_weight = weight.data();
  rows.block_weighted = weighted.data();
  rows.drawn = drawn.data();
  if (truncates) {
    rows.top_k = top_k.data();
    rows.top_p = top_p.data();
    rows.block_kept = kept.data();
    rows.block_ties = ties.data();
    rows.least = least.data();
  }
  EXPECT_EQ(EmulateSampleRows(rows, count, order), nullptr);
  std::vector<SampledToken> tokens;
  for (size_t i = 0; i < drawn.size(); i += 3) {
    tokens.push_back({static_cast<int32_t>(drawn[i]), static_cast<float>(drawn[i + 1]),
                      static_cast<float>(drawn[i + 2])});
  }
  return tokens;
}

std::vector<SamplingParams> At(const std::vector<double>& temperatures) {
  std::vector<SamplingParams> params;
  for (const double temperature : temperatures) params.push_back({.temperature = temperature});
  return params;
}

// Each row is drawn by Sampler too.
void ExpectTheHostsTokens(const std::vector<float>& logits, int64_t vocabulary,
                          const std::vector<SamplingParams>& params) {
  Sampler sampler;
  for (const ThreadOrder order : cuda::kAllOrders) {
    const std::vector<SampledToken> tokens = Draw(logits, vocabulary, params, order);
    for (size_t row = 0; row < params.size(); ++row) {
      const auto size = static_cast<size_t>(vocabulary);
      const SampledToken expected =
          sampler.Sample({logits.data() + row * size, size}, params[row], {.seed = row}, 3);
      EXPECT_EQ(tokens[row].id, expected.id) << vocabulary << " " << row;
      EXPECT_EQ(tokens[row].logprob, expected.logprob);
      EXPECT_EQ(tokens[row].entropy, expected.entropy);
    }
  }
}

// Rows of `vocabulary` numbers in [-spread, spread), in steps of `grain` (0: as they come).
std::vector<float> RandomLogits(size_t rows, int64_t vocabulary, double spread, double grain,
                                uint64_t seed) {
  RandomStream random({.seed = seed});
  std::vector<float> logits(static_cast<size_t>(vocabulary) * rows);
  for (float& logit : logits) {
    const double x = spread * (2 * random.Uniform() - 1);
    logit = static_cast<float>(grain == 0 ? x : std::round(x / grain) * grain);
  }
  return logits;
}

TEST(SampleRows, DrawTheHostsTokensOfWhatTopKAndTopPKeep) {
  const std::vector<SamplingParams> params = {
      {.top_k = 1},
      {.temperature = 0.7, .top_k = 50},
      {.top_p = 0.9},
      {.temperature = 1.3, .top_p = 0.4, .top_k = 300},
      {},  // among them, one that keeps all
      {.temperature = 0, .top_p = 0.5},
      {.top_p = 1e-9},
      {.top_p = 0.999999, .top_k = 1 << 20},
      {.top_k = 1 << 20},
  };
  for (const int64_t vocabulary : {1, 33, 1024, 2500}) {
    ExpectTheHostsTokens(RandomLogits(params.size(), vocabulary, 8, 0, 21), vocabulary, params);
    // Many equal ones, of which the lowest ids are kept; zeros of both signs among them.
    ExpectTheHostsTokens(RandomLogits(params.size(), vocabulary, 1, 0.5, 22), vocabulary, params);
  }
  const std::vector<float> equal(params.size() * 1500, 2);
  ExpectTheHostsTokens(equal, 1500, params);
}

TEST(SampleRows, DrawTheHostsTokensWithItsLogProbsAndEntropies) {
  RandomStream random({.seed = 5});
  const std::vector<double> temperatures = {1, 0.6, 1.7, 0, 1, 0.05};
  for (const int64_t vocabulary : {1, 15, 17, 1000, 1024, 1025, 3000, 17000}) {
    std::vector<float> logits(static_cast<size_t>(vocabulary) * temperatures.size());
    for (float& logit : logits) logit = static_cast<float>(12 * random.Uniform() - 6);
    ExpectTheHostsTokens(logits, vocabulary, At(temperatures));
  }
}

TEST(SampleRows, DrawTheHostsTokensOfManyEquals) {
  RandomStream random({.seed = 6});
  const std::vector<double> temperatures(12, 1);
  std::vector<float> logits(2500 * temperatures.size());
  for (float& logit : logits) logit = static_cast<float>(random.Below(3)) - 1;
  ExpectTheHostsTokens(logits, 2500, At(temperatures));
}

TEST(SampleRows, TakeTheLowestIdAmongTheMostLikely) {
  std::vector<float> logits(5000, -1);
  logits[4100] = logits[2047] = logits[2046] = logits[4999] = 3;
  for (const ThreadOrder order : cuda::kAllOrders) {
    EXPECT_EQ(Draw(logits, 5000, At({0}), order)[0].id, 2046);
  }
}

TEST(SampleRows, NeverDrawATokenWithoutProbability) {
  std::vector<float> logits;
  for (int i = 0; i < 4 * 40; ++i) logits.push_back(i % 2 == 0 ? 0.0F : -2000.0F);
  for (const SampledToken& token :
       Draw(logits, 4, std::vector<SamplingParams>(40), ThreadOrder::kShuffled)) {
    EXPECT_EQ(token.id % 2, 0);
  }
}

TEST(SampleRows, RefuseLogitsThatAreNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    std::vector<float> logits(4000, 0.5F);
    logits[1500] = bad;
    logits[2000 + 3] = 1;
    const auto tokens = Draw(logits, 2000, At({1, 1}), ThreadOrder::kShuffled);
    EXPECT_EQ(tokens[0].id, -1) << bad;
    EXPECT_GE(tokens[1].id, 0) << bad;
  }
}

TEST(HostExp, HasTheBitsOfTheCpusKernels) {
  std::vector<float> logits;
  for (float x = 0; x > -100; x -= 0.103F) logits.push_back(x);
  std::vector<float> weights(logits.size());
  GetSamplerKernel().weigh(logits.data(), static_cast<int64_t>(logits.size()), 0, 1,
                           weights.data());
  for (size_t i = 0; i < logits.size(); ++i) EXPECT_EQ(cuda::HostExp(logits[i]), weights[i]) << i;
}

}  // namespace
}  // namespace attnrl::rollout
