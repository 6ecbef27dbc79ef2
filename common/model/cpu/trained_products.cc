// SPDX-License-Identifier: Apache-2.0
#include "common/model/cpu/trained_products.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/attention/parallel.h"
#include "common/kernels/kernels.h"
#include "common/kernels/packed_matrix.h"
#include "common/model/cpu/product_parts.h"
#include "common/model/cpu/row_parts.h"

namespace attnrl::model {
namespace {

using kernels::PackedMatrix;
using kernels::PackedView;
using kernels::UsedKernels;

constexpr int64_t kPanel = PackedMatrix::kPanel;
// Elements that are worth a thread, or a member of a team.
constexpr int64_t kWorthAThread = int64_t{1} << 16;
constexpr int64_t kWorthAMember = int64_t{1} << 13;

// A matrix packed into memory that LibTorch lends.
struct Packed {
  at::Tensor memory;
  PackedView view;
};

// `fill(panel, outputs, target)` for every panel, whose memory [in, 16] is `target`.
template <typename Fill>
Packed Pack(int64_t out, int64_t in, const Fill& fill) {
  const int64_t panels = (out + kPanel - 1) / kPanel;
  const int64_t words = kPanel * in;
  Packed packed = {EmptyFloats({panels * words}), {}};
  float* const memory = packed.memory.mutable_data_ptr<float>();
  packed.view = {.float32 = memory, .out = out, .in = in, .panel_words = words};
  const auto grain = [&](int64_t worth) { return (worth + words) / (words + 1); };
  ParallelFor(panels, grain(kWorthAThread), grain(kWorthAMember), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t outputs = std::min(kPanel, out - panel * kPanel);
      float* const target = memory + panel * words;
      // What fills a panel up is multiplied with the rest of it.
      if (outputs < kPanel) std::fill_n(target, words, 0.0F);
      fill(panel, outputs, target);
    }
  });
  return packed;
}

// Outputs are the rows of w.
Packed PackRows(const at::Tensor& w) {
  return Pack(w.size(0), w.size(1), [&](int64_t panel, int64_t outputs, float* target) {
    UsedKernels().transpose(Floats(w) + panel * kPanel * w.stride(0), w.stride(0), outputs,
                            w.size(1), target, kPanel);
  });
}

// Outputs are the columns of w.
Packed PackColumns(const at::Tensor& w) {
  return Pack(w.size(1), w.size(0), [&](int64_t panel, int64_t outputs, float* target) {
    const float* source = Floats(w) + panel * kPanel;
    for (int64_t i = 0; i < w.size(0); ++i) {
      if (outputs == kPanel) {
        std::memcpy(target, source, kPanel * sizeof(float));  // of a length that is known: no call
      } else {
        std::copy_n(source, outputs, target);
      }
      source += w.stride(0);
      target += kPanel;
    }
  });
}

at::Tensor Multiply(const at::Tensor& x, const Packed& matrix, const float* bias) {
  at::Tensor y = EmptyFloats({x.size(0), matrix.view.out});
  MultiplyInParts<float>({.x = Floats(x),
                          .x_stride = x.stride(0),
                          .rows = x.size(0),
                          .matrix = matrix.view,
                          .bias = bias,
                          .y = y.mutable_data_ptr<float>(),
                          .y_stride = matrix.view.out},
                         UsedKernels().multiply);
  return y;
}

}  // namespace

at::Tensor MultiplyForward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Multiply(DenseRows(x), PackRows(DenseRows(weight)),
                  bias.defined() ? Floats(bias.contiguous()) : nullptr);
}

at::Tensor MultiplyBack(const at::Tensor& gradient, const at::Tensor& weight) {
  return Multiply(DenseRows(gradient), PackColumns(DenseRows(weight)), nullptr);
}

}  // namespace attnrl::model
