// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/kernels.h"

namespace attnrl::kernels {

enum class Isa;

// Products of bfloat16 inputs and weights on processors that multiply these themselves: products
// are exact, sums and outputs float32. How an output is summed follows from the instructions
// ("Intel 64 and IA-32 Architectures Software Developer's Manual", VDPBF16PS and TDPBF16PS), always
// over all of PairsOf(in), from the bias or zero on, denormal numbers taken and left as zero:
//   - AVX512-BF16: one chain of fused multiply-adds over the pairs, of each the odd input first;
//   - AMX: for each 32 inputs one chain over the even and one over the odd ones, then sum += even
//     chain + odd chain.
// Neither depends on the number of rows, so a row is computed alike in every batch. Both differ
// from the chain of kernels.h. Kernels run on the calling thread, keep no state and throw nothing.

// As ProductOf says, with x [rows, PairsOf(in)] from `round` and a bfloat16 matrix.
using BFloat16Product = ProductOf<uint32_t>;

struct BFloat16Kernels {
  // x [n] rounded to the nearest bfloat16, ties to even, denormal numbers to zero; y [PairsOf(n)],
  // words of two as weights have them, filled up with zeros.
  void (*round)(const float* x, int64_t n, uint32_t* y);
  void (*multiply)(const BFloat16Product& product);
};

// Those of UsedIsa(), null where that doesn't multiply bfloat16.
const BFloat16Kernels* UsedBFloat16Kernels();
// Those of an instruction set, null where it or this machine has none; for tests.
const BFloat16Kernels* BFloat16KernelsOf(Isa isa);

}  // namespace attnrl::kernels
