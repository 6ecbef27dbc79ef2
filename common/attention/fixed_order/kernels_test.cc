// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order/kernels.h"

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
  for (const bool bfloat16 : {false, true}) {
    for (const int64_t head_dim : {8, 16, 20, 64, 112, 128}) {
      EXPECT_EQ(AttendResult(*GetParam(), head_dim, bfloat16),
                AttendResult(portable, head_dim, bfloat16));
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

INSTANTIATE_TEST_SUITE_P(Isa, Kernels, testing::ValuesIn(AllFixedOrderKernels()),
                         [](const auto& test) { return std::string(test.param->isa); });

}  // namespace
}  // namespace attnrl::attention
