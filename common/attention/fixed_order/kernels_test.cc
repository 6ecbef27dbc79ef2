// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order/kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "common/base/philox.h"

namespace attnrl::attention {
namespace {

std::vector<float> Random(size_t count, uint32_t purpose, double size = 2) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(
        size * (RandomUniform({.seed = 9, .purpose = purpose}, static_cast<uint32_t>(i)) - 0.5));
  }
  return values;
}

std::vector<uint16_t> BFloat16Bits(const std::vector<float>& values) {
  std::vector<uint16_t> bits;
  for (const float value : values) {
    uint32_t word = 0;
    std::memcpy(&word, &value, sizeof(word));
    bits.push_back(static_cast<uint16_t>(word >> 16));
  }
  return bits;
}

std::vector<float> FromBits(const std::vector<uint16_t>& bits) {
  std::vector<float> values(bits.size());
  for (size_t i = 0; i < bits.size(); ++i) {
    const uint32_t word = static_cast<uint32_t>(bits[i]) << 16;
    std::memcpy(&values[i], &word, sizeof(word));
  }
  return values;
}

// Sizes that fill no register: 7 rows, 37 inputs, 45 outputs; 6 heads of 20 over 89 tokens.
constexpr int64_t kRows = 11;
constexpr int64_t kIn = 37;
constexpr int64_t kOut = 45;

std::vector<float> LinearResult(const FixedOrderKernels& kernels, const std::vector<float>& x,
                                bool bfloat16) {
  const std::vector<float> weight = Random(kOut * kIn, 2);
  const std::vector<float> bias = Random(kOut, 3);
  const auto elements = static_cast<size_t>(PanelElements(kOut, kIn));
  std::vector<float> floats(elements);
  std::vector<uint16_t> bits(elements);
  FillPanels(weight.data(), kOut, kIn, floats.data());
  FillPanels(BFloat16Bits(weight).data(), kOut, kIn, bits.data());
  Panels panels;
  if (bfloat16) {
    panels.bfloat16 = bits.data();
  } else {
    panels.float32 = floats.data();
  }
  const auto rows = static_cast<int64_t>(x.size()) / kIn;
  std::vector<float> y(static_cast<size_t>(rows * kOut));
  kernels.linear(x.data(), rows, kIn, panels, bias.data(), kOut, y.data());
  return y;
}

std::vector<float> AttendResult(const FixedOrderKernels& kernels, int64_t head_dim, bool bfloat16) {
  constexpr int64_t kTokens = 89;
  constexpr int64_t kHeads = 6;
  constexpr int64_t kKvHeads = 2;
  const auto size = static_cast<size_t>(kTokens * kKvHeads * head_dim);
  const std::vector<float> q = Random(static_cast<size_t>(kHeads * head_dim), 4, 8);
  const std::vector<uint16_t> key_bits = BFloat16Bits(Random(size, 5, 8));
  const std::vector<uint16_t> value_bits = BFloat16Bits(Random(size, 6));
  const std::vector<float> keys = FromBits(key_bits);
  const std::vector<float> values = FromBits(value_bits);
  std::vector<float> scratch(static_cast<size_t>(AttendScratch(kHeads, kTokens)));
  std::vector<float> out(q.size());
  AttendArguments arguments{.q = q.data(),
                            .tokens = kTokens,
                            .heads = kHeads,
                            .kv_heads = kKvHeads,
                            .head_dim = head_dim,
                            .scale = 0.25F,
                            .scratch = scratch.data(),
                            .out = out.data()};
  if (bfloat16) {
    arguments.keys_bfloat16 = key_bits.data();
    arguments.values_bfloat16 = value_bits.data();
  } else {
    arguments.keys = keys.data();
    arguments.values = values.data();
  }
  kernels.attend(arguments);
  return out;
}

// Softmax attention of the same numbers, written as the formula in float64.
std::vector<double> AttendReference(int64_t head_dim) {
  const int64_t tokens = 89;
  const int64_t heads = 6;
  const int64_t kv_heads = 2;
  const auto size = static_cast<size_t>(tokens * kv_heads * head_dim);
  const std::vector<float> q = Random(static_cast<size_t>(heads * head_dim), 4, 8);
  const std::vector<float> keys = FromBits(BFloat16Bits(Random(size, 5, 8)));
  const std::vector<float> values = FromBits(BFloat16Bits(Random(size, 6)));
  std::vector<double> out;
  for (int64_t h = 0; h < heads; ++h) {
    const auto at = [&](const std::vector<float>& x, int64_t token, int64_t i) {
      const int64_t index = (token * kv_heads + h / (heads / kv_heads)) * head_dim + i;
      return static_cast<double>(x[static_cast<size_t>(index)]);
    };
    std::vector<double> weights;
    double total = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      double dot = 0;
      for (int64_t i = 0; i < head_dim; ++i) {
        dot += static_cast<double>(q[static_cast<size_t>(h * head_dim + i)]) * at(keys, t, i);
      }
      weights.push_back(std::exp(0.25 * dot));
      total += weights.back();
    }
    for (int64_t i = 0; i < head_dim; ++i) {
      double sum = 0;
      for (int64_t t = 0; t < tokens; ++t) {
        sum += weights[static_cast<size_t>(t)] / total * at(values, t, i);
      }
      out.push_back(sum);
    }
  }
  return out;
}

class Kernels : public testing::TestWithParam<const FixedOrderKernels*> {};

TEST_P(Kernels, GiveTheSameBitsOnEveryInstructionSet) {
  const FixedOrderKernels& portable = *AllFixedOrderKernels().front();
  const FixedOrderKernels& kernels = *GetParam();
  const std::vector<float> x = Random(kRows * kIn, 1, 20);
  const std::vector<float> weight = Random(kIn, 7);
  for (const bool bfloat16 : {false, true}) {
    EXPECT_EQ(LinearResult(kernels, x, bfloat16), LinearResult(portable, x, bfloat16));
    for (const int64_t head_dim : {8, 16, 20, 64, 112, 128}) {
      EXPECT_EQ(AttendResult(kernels, head_dim, bfloat16),
                AttendResult(portable, head_dim, bfloat16));
    }
  }
  const auto both = [&](const auto& run) {
    std::vector<float> mine(x.size()), theirs(x.size());
    run(kernels, mine.data());
    run(portable, theirs.data());
    EXPECT_EQ(mine, theirs);
  };
  both([&](const FixedOrderKernels& k, float* y) {
    k.rms_norm(x.data(), weight.data(), kRows, kIn, 1e-6F, y);
  });
  both([&](const FixedOrderKernels& k, float* y) {
    k.gated_silu(x.data(), x.data(), kRows * kIn, y);
  });
  both([&](const FixedOrderKernels& k, float* y) { k.log_softmax(x.data(), kRows, kIn, y); });
}

TEST_P(Kernels, ComputeALinearRowAlikeInEveryBatch) {
  const std::vector<float> x = Random(kRows * kIn, 1);
  const std::vector<float> together = LinearResult(*GetParam(), x, false);
  for (int64_t row = 0; row < kRows; ++row) {
    const std::vector<float> one(x.begin() + row * kIn, x.begin() + (row + 1) * kIn);
    const std::vector<float> part(together.begin() + row * kOut,
                                  together.begin() + (row + 1) * kOut);
    EXPECT_EQ(LinearResult(*GetParam(), one, false), part) << row;
  }
}

TEST_P(Kernels, ComputeLinearMaps) {
  const std::vector<float> x = Random(kRows * kIn, 1);
  const std::vector<float> weight = Random(kOut * kIn, 2);
  const std::vector<float> bias = Random(kOut, 3);
  const std::vector<float> y = LinearResult(*GetParam(), x, false);
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t o = 0; o < kOut; ++o) {
      double sum = static_cast<double>(bias[o]);
      for (size_t i = 0; i < kIn; ++i) {
        sum += static_cast<double>(x[row * kIn + i]) * static_cast<double>(weight[o * kIn + i]);
      }
      EXPECT_NEAR(y[row * kOut + o], sum, 1e-5);
    }
  }
}

TEST_P(Kernels, ComputeSoftmaxAttention) {
  for (const int64_t head_dim : {8, 20, 64}) {
    const std::vector<float> out = AttendResult(*GetParam(), head_dim, true);
    const std::vector<double> reference = AttendReference(head_dim);
    for (size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], reference[i], 1e-5);
  }
}

TEST_P(Kernels, ComputeNormsSiluAndLogSoftmax) {
  const std::vector<float> x = Random(kIn, 1, 30);
  const std::vector<float> weight = Random(kIn, 7);
  std::vector<float> norm(kIn), silu(kIn), logprobs(kIn);
  GetParam()->rms_norm(x.data(), weight.data(), 1, kIn, 1e-6F, norm.data());
  GetParam()->gated_silu(x.data(), weight.data(), kIn, silu.data());
  GetParam()->log_softmax(x.data(), 1, kIn, logprobs.data());
  double squares = 0;
  double total = 0;
  for (const float value : x) {
    squares += static_cast<double>(value) * static_cast<double>(value);
    total += std::exp(static_cast<double>(value));
  }
  for (size_t i = 0; i < kIn; ++i) {
    const auto value = static_cast<double>(x[i]);
    const auto scale = static_cast<double>(weight[i]);
    EXPECT_NEAR(norm[i], scale * value / std::sqrt(squares / kIn + 1e-6), 1e-5);
    EXPECT_NEAR(silu[i], value / (1 + std::exp(-value)) * scale, 1e-5);
    EXPECT_NEAR(logprobs[i], value - std::log(total), 1e-5);
  }
}

TEST_P(Kernels, RotatePairsOfHalves) {
  const std::vector<float> x = {1, 2, 3, 4};
  const std::vector<float> cosine = {0.5F, 0.25F, 0.5F, 0.25F};
  const std::vector<float> sine = {-2, -1, 2, 1};
  std::vector<float> y(4);
  GetParam()->rotate(x.data(), cosine.data(), sine.data(), 1, 4, y.data());
  EXPECT_THAT(y, testing::ElementsAre(0.5F - 6, 0.5F - 4, 1.5F + 2, 1 + 2));
}

INSTANTIATE_TEST_SUITE_P(Isa, Kernels, testing::ValuesIn(AllFixedOrderKernels()),
                         [](const auto& test) { return std::string(test.param->isa); });

}  // namespace
}  // namespace attnrl::attention
