// SPDX-License-Identifier: Apache-2.0
#pragma once

// The instructions of AVX512-BF16 that pair_body.h needs, over the sixteen lanes of lanes.h.
#include <immintrin.h>

#include <cstdint>

#include "common/kernels/lanes.h"

namespace attnrl::kernels {
namespace {

// Sixteen words of two bfloat16 numbers.
struct Pairs {
  __m512i v;
  static Pairs Broadcast(uint32_t pair) { return {_mm512_set1_epi32(static_cast<int>(pair))}; }
  static Pairs Load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
  // Of 32 floats.
  static Pairs Round(const float* x) {
    const auto low = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(x)));
    const auto high = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(x + 16)));
    return {_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)};
  }
  void Store(uint32_t* p) const { _mm512_storeu_si512(p, v); }
};

// sums[i] + a[i] * b[i] of both numbers.
inline Lanes AddDots(Pairs a, Pairs b, Lanes sums) {
  return {
      _mm512_dpbf16_ps(sums.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
}

}  // namespace
}  // namespace attnrl::kernels
