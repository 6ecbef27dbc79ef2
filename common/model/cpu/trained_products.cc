// SPDX-License-Identifier: Apache-2.0
#include "common/model/cpu/trained_products.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/attention/parallel.h"
#include "common/kernels/kernels.h"
#include "common/kernels/packed_matrix.h"
#include "common/model/cpu/product_parts.h"

namespace attnrl::model {
namespace {

using kernels::PackedMatrix;
using kernels::PackedView;
using kernels::UsedKernels;

constexpr int64_t kPanel = PackedMatrix::kPanel;
// Elements that are worth a thread, or a member of a team.
constexpr int64_t kWorthAThread = int64_t{1} << 16;
constexpr int64_t kWorthAMember = int64_t{1} << 13;

at::Tensor Empty(at::IntArrayRef sizes) { return at::detail::empty_cpu(sizes, at::kFloat); }

at::Tensor WithDenseRows(const at::Tensor& x) { return x.stride(1) == 1 ? x : x.contiguous(); }

const float* Data(const at::Tensor& x) { return x.const_data_ptr<float>(); }

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
  Packed packed = {Empty({panels * words}), {}};
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
    UsedKernels().transpose(Data(w) + panel * kPanel * w.stride(0), w.stride(0), outputs, w.size(1),
                            target, kPanel);
  });
}

// Outputs are the columns of w.
Packed PackColumns(const at::Tensor& w) {
  return Pack(w.size(1), w.size(0), [&](int64_t panel, int64_t outputs, float* target) {
    const float* source = Data(w) + panel * kPanel;
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
  at::Tensor y = Empty({x.size(0), matrix.view.out});
  MultiplyInParts<float>({.x = Data(x),
                          .x_stride = x.stride(0),
                          .rows = x.size(0),
                          .matrix = matrix.view,
                          .bias = bias,
                          .y = y.mutable_data_ptr<float>(),
                          .y_stride = matrix.view.out},
                         UsedKernels().multiply);
  return y;
}

// sum += gradient' x, for rows few enough that a part of both stays in the second cache.
void AddSlice(const at::Tensor& gradient, const at::Tensor& x, at::Tensor& sum) {
  constexpr int64_t kOutputs = 48;  // at once, as many rows as the largest tiles go into
  const Packed matrix = PackColumns(x);
  const int64_t rows = x.size(0);
  const int64_t out = gradient.size(1);
  const int64_t parts = (out + kOutputs - 1) / kOutputs;
  const int64_t stride = rows + kPanel;  // rows that lie a power of two apart share few cache lines
  const auto add = [&](int64_t begin, int64_t end) {
    const at::Tensor turned = Empty({kOutputs, stride});
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = out * part / parts;
      const int64_t count = out * (part + 1) / parts - first;
      UsedKernels().transpose(Data(gradient) + first, gradient.stride(0), rows, count,
                              turned.mutable_data_ptr<float>(), stride);
      UsedKernels().multiply({.x = Data(turned),
                              .x_stride = stride,
                              .rows = count,
                              .matrix = matrix.view,
                              .resume = true,
                              .first_panel = 0,
                              .last_panel = (matrix.view.out + kPanel - 1) / kPanel,
                              .y = sum.mutable_data_ptr<float>() + first * sum.stride(0),
                              .y_stride = sum.stride(0)});
    }
  };
  ParallelFor(parts, 1, 1, add);
}

}  // namespace

at::Tensor MultiplyForward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Multiply(WithDenseRows(x), PackRows(WithDenseRows(weight)),
                  bias.defined() ? Data(bias.contiguous()) : nullptr);
}

at::Tensor MultiplyBack(const at::Tensor& gradient, const at::Tensor& weight) {
  return Multiply(WithDenseRows(gradient), PackColumns(WithDenseRows(weight)), nullptr);
}

void AddWeightGradient(const at::Tensor& gradient, const at::Tensor& x, at::Tensor& sum) {
  constexpr int64_t kRows = 1536;
  const at::Tensor dense_gradient = WithDenseRows(gradient);
  const at::Tensor dense_x = WithDenseRows(x);
  const int64_t rows = x.size(0);
  const int64_t slices = (rows + kRows - 1) / kRows;
  for (int64_t i = 0; i < slices; ++i) {
    const int64_t first = rows * i / slices;
    const int64_t count = rows * (i + 1) / slices - first;
    AddSlice(dense_gradient.narrow(0, first, count), dense_x.narrow(0, first, count), sum);
  }
}

}  // namespace attnrl::model
