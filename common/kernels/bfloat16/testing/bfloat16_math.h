// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace attnrl::kernels {

// The arithmetic of VDPBF16PS, TDPBF16PS and VCVTNEPS2BF16: to nearest, ties to even; denormal
// numbers are zero on the way in and out, with their sign.
inline float Flush(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0F, x) : x; }

inline float FlushedFma(float a, float b, float c) {
  return Flush(std::fma(Flush(a), Flush(b), Flush(c)));
}

inline float FlushedAdd(float a, float b) { return Flush(Flush(a) + Flush(b)); }

inline float FromBFloat16(uint32_t bits) { return std::bit_cast<float>(bits << 16); }
inline float LowOf(uint32_t pair) { return FromBFloat16(pair & 0xFFFF); }
inline float HighOf(uint32_t pair) { return FromBFloat16(pair >> 16); }

inline uint32_t RoundToBFloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(Flush(x));
  if (std::isnan(x)) return bits >> 16 | 0x40;  // a quiet one
  return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

// One output of AVX512-BF16: x, weight [in] that bfloat16 can hold, both zero beyond.
inline float SumOfPairs(const std::vector<float>& x, const std::vector<float>& weight, float bias) {
  float sum = bias;
  const auto at = [](const std::vector<float>& v, size_t i) { return i < v.size() ? v[i] : 0.0F; };
  for (size_t i = 0; i < (x.size() + 31) / 32 * 32; i += 2) {
    sum = FlushedFma(at(x, i + 1), at(weight, i + 1), sum);
    sum = FlushedFma(at(x, i), at(weight, i), sum);
  }
  return sum;
}

// One output of AMX.
inline float SumOfTiles(const std::vector<float>& x, const std::vector<float>& weight, float bias) {
  float sum = bias;
  for (size_t first = 0; first < x.size(); first += 32) {
    float even = 0, odd = 0;
    for (size_t i = first; i < first + 32 && i < x.size(); ++i) {
      float& chain = i % 2 == 0 ? even : odd;
      chain = FlushedFma(x[i], weight[i], chain);
    }
    sum = FlushedAdd(sum, FlushedAdd(even, odd));
  }
  return sum;
}

}  // namespace attnrl::kernels
