// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products in pairs of inputs: the blocks and tiles of product_body.h over words of two. Included
// after the instructions, avx512_pairs.h or the tests'.
#include "common/kernels/bfloat16/bfloat16_kernels.h"
#include "common/kernels/product_body.h"

namespace attnrl::kernels {
namespace {

// A word of two bfloat16 numbers is what a float is to product_body.h. A tile takes 24 of 32
// registers, since each load serves more sums then: 6 x 4 and 12 x 2.
struct PairOperands : WordOperands<uint32_t, Pairs> {
  static Lanes MultiplyAdd(Pairs a, Pairs b, Lanes c) { return AddDots(a, b, c); }
  static constexpr int kTileSums = 24;
  static constexpr int PanelsFor(int64_t rows) { return rows <= 6 ? 4 : 2; }
};

inline void MultiplyPairs(const BFloat16Product& product) {
  MultiplyOf<PairOperands>(product, product.matrix.bfloat16_pairs, PairsOf(product.matrix.in));
}

inline void RoundToPairs(const float* x, int64_t n, uint32_t* y) {
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) Pairs::Round(x + i).Store(y + i / 2);
  if (i == n) return;
  float rest[32] = {};
  for (int64_t k = i; k < n; ++k) rest[k - i] = x[k];
  Pairs::Round(rest).Store(y + i / 2);
}

}  // namespace
}  // namespace attnrl::kernels
