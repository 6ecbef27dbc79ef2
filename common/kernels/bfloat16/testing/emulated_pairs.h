// SPDX-License-Identifier: Apache-2.0
#pragma once

// What avx512_pairs.h has, number by number.
#include <cstdint>

#include "common/kernels/bfloat16/testing/bfloat16_math.h"
#include "common/kernels/lanes.h"

namespace attnrl::kernels {
namespace {

struct Pairs {
  uint32_t v[16];
  static Pairs Broadcast(uint32_t pair) {
    Pairs r;
    for (uint32_t& word : r.v) word = pair;
    return r;
  }
  static Pairs Load(const uint32_t* p) {
    Pairs r;
    for (int i = 0; i < 16; ++i) r.v[i] = p[i];
    return r;
  }
  static Pairs Round(const float* x) {
    Pairs r;
    for (int i = 0; i < 16; ++i) {
      r.v[i] = RoundToBFloat16(x[2 * i]) | RoundToBFloat16(x[2 * i + 1]) << 16;
    }
    return r;
  }
  void Store(uint32_t* p) const {
    for (int i = 0; i < 16; ++i) p[i] = v[i];
  }
};

inline Lanes AddDots(const Pairs& a, const Pairs& b, Lanes sums) {
  for (int i = 0; i < 16; ++i) {
    sums.v[i] = FlushedFma(HighOf(a.v[i]), HighOf(b.v[i]), sums.v[i]);
    sums.v[i] = FlushedFma(LowOf(a.v[i]), LowOf(b.v[i]), sums.v[i]);
  }
  return sums;
}

}  // namespace
}  // namespace attnrl::kernels
