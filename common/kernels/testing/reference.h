// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/base/philox.h"

// What the kernels compute, written as their definitions.
namespace attnrl::kernels {

// Of a product.
struct Shape {
  int64_t rows;
  int64_t in;
  int64_t out;
};

inline std::vector<float> RandomFloats(RandomStream& random, int64_t count, double size = 2) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(size * (random.Uniform() - 0.5));
  return values;
}

// The upper halves, which are the numbers rounded towards zero.
inline std::vector<uint16_t> BFloat16Bits(const std::vector<float>& values) {
  std::vector<uint16_t> bits;
  for (const float value : values) {
    uint32_t word = 0;
    std::memcpy(&word, &value, sizeof(word));
    bits.push_back(static_cast<uint16_t>(word >> 16));
  }
  return bits;
}

inline std::vector<float> FromBits(const std::vector<uint16_t>& bits) {
  std::vector<float> values(bits.size());
  for (size_t i = 0; i < bits.size(); ++i) {
    const uint32_t word = static_cast<uint32_t>(bits[i]) << 16;
    std::memcpy(&values[i], &word, sizeof(word));
  }
  return values;
}

// y[r, o] = bias[o] + sum over i of x[r, i] * weight[o, i], first input to last, each step one
// fused multiply-add in Real: float gives the bits of the kernels, double a value to be near to.
template <typename Real>
std::vector<Real> ReferenceProduct(const std::vector<float>& x, int64_t in,
                                   const std::vector<float>& weight,
                                   const std::vector<float>& bias) {
  std::vector<Real> y;
  const size_t inputs = static_cast<size_t>(in);
  for (size_t r = 0; r < x.size() / inputs; ++r) {
    for (size_t o = 0; o < weight.size() / inputs; ++o) {
      Real sum = bias.empty() ? Real{0} : static_cast<Real>(bias[o]);
      for (size_t i = 0; i < inputs; ++i) {
        sum = std::fma(static_cast<Real>(x[r * inputs + i]),
                       static_cast<Real>(weight[o * inputs + i]), sum);
      }
      y.push_back(sum);
    }
  }
  return y;
}

}  // namespace attnrl::kernels
