// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::attention {

// The CPU kernel of attention in which every sum runs in one written-down order, whatever the
// instruction set:
//   - a sum over a row (softmax, dot product) goes into 16 lanes, element i into lane i mod 16 in
//     order, and the lanes are added as (l, l + 8), (l, l + 4), (l, l + 2), (0, 1);
//   - the weighted sum is one chain of fused multiply-adds over the keys, first to last.
// A row is therefore computed alike in every batch, and the AVX2, AVX-512 and portable builds of
// the same source give the same bits (the test compares them). All arrays are dense and row-major.

// One query token against the keys and values of its sequence, all heads.
struct AttendArguments {
  const float* q = nullptr;  // [heads, head_dim]
  // [tokens, kv_heads, head_dim], token after token: one pair or the other.
  const float* keys = nullptr;
  const float* values = nullptr;
  const uint16_t* keys_bfloat16 = nullptr;
  const uint16_t* values_bfloat16 = nullptr;
  int64_t tokens = 0;  // that it sees: its own position + 1
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 1;           // of the dot products
  float* scratch = nullptr;  // AttendScratch(heads, tokens) floats
  float* out = nullptr;      // [heads, head_dim]
};
int64_t AttendScratch(int64_t heads, int64_t tokens);

struct FixedOrderKernels {
  const char* isa;  // "avx512", "avx2" or "portable"
  void (*attend)(const AttendArguments& arguments);
};

// That of kernels::UsedIsa().
const FixedOrderKernels& GetFixedOrderKernels();
// All that this machine can run, slowest first, for tests.
std::vector<const FixedOrderKernels*> AllFixedOrderKernels();

}  // namespace attnrl::attention
