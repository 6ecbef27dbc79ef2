// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "common/base/philox.h"
#include "common/kernels/cuda/testing/emulator.h"
#include "services/rollout_worker/sampling/cuda/sample_rows_kernel.h"
#include "services/rollout_worker/sampling/sampler.h"

namespace attnrl::rollout {
namespace {

using cuda::ThreadOrder;

// What is drawn of each row, with key {.seed = row} at index 3.
std::vector<SampledToken> Draw(const std::vector<float>& logits, int64_t vocabulary,
                               const std::vector<double>& temperatures, ThreadOrder order) {
  const auto count = static_cast<int64_t>(temperatures.size());
  std::vector<double> uniforms;
  for (int64_t row = 0; row < count; ++row) {
    uniforms.push_back(RandomUniform({.seed = static_cast<uint64_t>(row)}, 3));
  }
  SampleRows rows{.logits = logits.data(),
                  .vocabulary = vocabulary,
                  .blocks = SampleRows::BlocksOf(vocabulary),
                  .uniforms = uniforms.data(),
                  .temperatures = temperatures.data()};
  const int64_t blocks = rows.blocks;
  std::vector<float> largest(static_cast<size_t>(count * blocks), NAN), weight(largest),
      weighted(largest);
  std::vector<double> drawn(static_cast<size_t>(count * 3), NAN);
  rows.block_largest = largest.data();
  rows.block_weight = weight.data();
  rows.block_weighted = weighted.data();
  rows.drawn = drawn.data();
  const auto cut = [&](int64_t size) { return (blocks + size - 1) / size; };
  EXPECT_TRUE(
      cuda::Emulate<LargestOfBlocks>({cut(LargestOfBlocks::kWarps), count}, rows, order).ok());
  EXPECT_TRUE(cuda::Emulate<WeighBlocks>({cut(WeighBlocks::kBlocks), count}, rows, order).ok());
  EXPECT_TRUE(cuda::Emulate<DrawRows>({count}, rows, order).ok());
  std::vector<SampledToken> tokens;
  for (size_t i = 0; i < drawn.size(); i += 3) {
    tokens.push_back({static_cast<int32_t>(drawn[i]), static_cast<float>(drawn[i + 1]),
                      static_cast<float>(drawn[i + 2])});
  }
  return tokens;
}

// A row for each temperature, drawn by Sampler too.
void ExpectTheHostsTokens(const std::vector<float>& logits, int64_t vocabulary,
                          const std::vector<double>& temperatures) {
  Sampler sampler;
  for (const ThreadOrder order : cuda::kAllOrders) {
    const std::vector<SampledToken> tokens = Draw(logits, vocabulary, temperatures, order);
    for (size_t row = 0; row < temperatures.size(); ++row) {
      const auto size = static_cast<size_t>(vocabulary);
      const SampledToken expected = sampler.Sample(
          {logits.data() + row * size, size}, {.temperature = temperatures[row]}, {.seed = row}, 3);
      EXPECT_EQ(tokens[row].id, expected.id) << vocabulary << " " << row;
      EXPECT_EQ(tokens[row].logprob, expected.logprob);
      EXPECT_EQ(tokens[row].entropy, expected.entropy);
    }
  }
}

TEST(SampleRows, DrawTheHostsTokensWithItsLogProbsAndEntropies) {
  RandomStream random({.seed = 5});
  const std::vector<double> temperatures = {1, 0.6, 1.7, 0, 1, 0.05};
  for (const int64_t vocabulary : {1, 15, 17, 1000, 1024, 1025, 3000, 17000}) {
    std::vector<float> logits(static_cast<size_t>(vocabulary) * temperatures.size());
    for (float& logit : logits) logit = static_cast<float>(12 * random.Uniform() - 6);
    ExpectTheHostsTokens(logits, vocabulary, temperatures);
  }
}

TEST(SampleRows, DrawTheHostsTokensOfManyEquals) {
  RandomStream random({.seed = 6});
  const std::vector<double> temperatures(12, 1);
  std::vector<float> logits(2500 * temperatures.size());
  for (float& logit : logits) logit = static_cast<float>(random.Below(3)) - 1;
  ExpectTheHostsTokens(logits, 2500, temperatures);
}

TEST(SampleRows, TakeTheLowestIdAmongTheMostLikely) {
  std::vector<float> logits(5000, -1);
  logits[4100] = logits[2047] = logits[2046] = logits[4999] = 3;
  for (const ThreadOrder order : cuda::kAllOrders) {
    EXPECT_EQ(Draw(logits, 5000, {0}, order)[0].id, 2046);
  }
}

TEST(SampleRows, NeverDrawATokenWithoutProbability) {
  std::vector<float> logits;
  for (int i = 0; i < 4 * 40; ++i) logits.push_back(i % 2 == 0 ? 0.0F : -2000.0F);
  for (const SampledToken& token :
       Draw(logits, 4, std::vector<double>(40, 1), ThreadOrder::kShuffled)) {
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
    const auto tokens = Draw(logits, 2000, {1, 1}, ThreadOrder::kShuffled);
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
