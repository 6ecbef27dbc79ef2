// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::kernels {

// CPU kernels of a decoder outside attention, in which every sum runs in one written-down order,
// whatever the instruction set, the number of rows and the split over threads:
//   - an output of a product is one chain of fused multiply-adds over its inputs, first to last,
//     that starts at the bias or at zero;
//   - a sum over a row (norm, softmax) goes into 16 lanes, element i into lane i mod 16 in order,
//     and the lanes are added as (l, l + 8), (l, l + 4), (l, l + 2), (0, 1).
// A row is therefore computed alike in every batch, and the builds for different instruction sets
// give the same bits (the tests compare them). Kernels run on the calling thread, keep no state and
// throw nothing. Arrays are row-major; outputs may not overlap inputs unless it says so.

// Pairs of bfloat16 inputs, filled up to the 32 inputs of one of AMX's tiles.
constexpr int64_t PairsOf(int64_t in) { return (in + 31) / 32 * 16; }

// A weight [out, in] cut into panels of 16 outputs, [panels, panel_words], the last one filled up
// with zeros; one pointer or the other. A float32 panel is [in, 16]. A bfloat16 panel is
// [PairsOf(in), 16] of 32-bit words that hold the weights of inputs 2i (low half) and 2i + 1.
struct PackedView {
  const float* float32 = nullptr;
  const uint32_t* bfloat16_pairs = nullptr;
  int64_t out = 0;
  int64_t in = 0;
  int64_t panel_words = 0;
};

// The outputs of some panels, for every row. Inputs are floats, or what bfloat16/ makes of them.
template <typename Input>
struct ProductOf {
  const Input* x = nullptr;  // [rows, in], rows x_stride apart
  int64_t x_stride = 0;
  int64_t rows = 0;
  PackedView matrix;
  const float* bias = nullptr;  // [out], or null
  int64_t first_panel = 0;
  int64_t last_panel = 0;  // exclusive
  float* y = nullptr;      // [rows, out], rows y_stride apart; other panels' columns stay untouched
  int64_t y_stride = 0;
};
using Product = ProductOf<float>;

struct Kernels {
  void (*multiply)(const Product& product);
  // y = weight * (x / sqrt(mean(x^2) + eps)); x [rows, n], rows x_stride apart, y [rows, n]; y may
  // be a dense x.
  void (*rms_norm)(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t n,
                   float eps, float* y);
  // y += x; both [n].
  void (*add)(const float* x, int64_t n, float* y);
  // y = gate / (1 + exp(-gate)) * up; all [n]; y may be gate or up.
  void (*gated_silu)(const float* gate, const float* up, int64_t n, float* y);
  // Given dy, the gradient of rms_norm's y: dx = also (null: zero) + that of x, and dweight [n]
  // becomes greater by that of weight, one row after the other; others [rows, n].
  void (*rms_norm_gradient)(const float* x, const float* weight, const float* dy, const float* also,
                            int64_t rows, int64_t n, float eps, float* dx, float* dweight);
  // Given dy, the gradient of gated_silu's y: those of gate and up; all [n].
  void (*gated_silu_gradient)(const float* gate, const float* up, const float* dy, int64_t n,
                              float* dgate, float* dup);
  // Rotates each of `heads` heads: y = x * cosine + swap(x) * sine; x, y [heads, n], others [n];
  // y may be x.
  void (*rotate)(const float* x, const float* cosine, const float* sine, int64_t heads, int64_t n,
                 float* y);
  // y = the transpose of x; x [rows, columns], rows x_stride apart; y [columns, rows], y_stride
  // apart.
  void (*transpose)(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* y,
                    int64_t y_stride);
  // Natural log-probabilities; x, y [rows, n]; y may be x.
  void (*log_softmax)(const float* x, int64_t rows, int64_t n, float* y);
};

// Those of UsedIsa(), or the best below it.
const Kernels& UsedKernels();
// All that this machine can run, in the order of Isa, for tests.
std::vector<const Kernels*> AllKernels();

}  // namespace attnrl::kernels
