// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::attention {

// Own CPU kernels in which every sum runs in one written-down order, whatever the instruction set:
//   - a linear map's output is one chain of fused multiply-adds over its inputs, first to last;
//   - a sum over a row (norm, softmax, dot product) goes into 16 lanes, element i into lane
//     i mod 16 in order, and the lanes are added as (l, l + 8), (l, l + 4), (l, l + 2), (0, 1);
//   - attention's weighted sum is one chain of fused multiply-adds over the keys, first to last.
// A row is therefore computed alike in every batch, and the AVX2, AVX-512 and portable builds of
// the same source give the same bits (the test compares them). All arrays are dense and row-major.
inline constexpr int64_t kLanes = 16;

// A weight [out, in] cut into panels of 16 outputs, [out / 16, in, 16], the last one filled with
// zeros: float32, or bfloat16 as its 16 bits.
struct Panels {
  const float* float32 = nullptr;
  const uint16_t* bfloat16 = nullptr;
};
int64_t PanelElements(int64_t out, int64_t in);
// weight[out * in] -> panels[PanelElements(out, in)].
void FillPanels(const float* weight, int64_t out, int64_t in, float* panels);
void FillPanels(const uint16_t* weight, int64_t out, int64_t in, uint16_t* panels);

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
  // x [rows, in], bias [out] or null -> y [rows, out].
  void (*linear)(const float* x, int64_t rows, int64_t in, const Panels& panels, const float* bias,
                 int64_t out, float* y);
  // y = weight * (x / sqrt(mean(x^2) + eps)); x, y [rows, n].
  void (*rms_norm)(const float* x, const float* weight, int64_t rows, int64_t n, float eps,
                   float* y);
  // y = gate / (1 + exp(-gate)) * up; all [n].
  void (*gated_silu)(const float* gate, const float* up, int64_t n, float* y);
  // Rotates each of `heads` heads: y = x * cosine + swap(x) * sine; x, y [heads, n], others [n].
  void (*rotate)(const float* x, const float* cosine, const float* sine, int64_t heads, int64_t n,
                 float* y);
  // Natural log-probabilities; x, y [rows, n].
  void (*log_softmax)(const float* x, int64_t rows, int64_t n, float* y);
  void (*attend)(const AttendArguments& arguments);
};

// The fastest that this machine has; fixed for the life of the process.
const FixedOrderKernels& GetFixedOrderKernels();
// All that this machine can run, for tests.
std::vector<const FixedOrderKernels*> AllFixedOrderKernels();

}  // namespace attnrl::attention
