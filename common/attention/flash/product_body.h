// SPDX-License-Identifier: Apache-2.0
#pragma once

// The products of kernel.h: small matrices in the caches, tile by tile. Included once by each
// kernel_<isa>.cc through kernel_body.h.
#include "common/attention/flash/kernel.h"
#include "common/kernels/row_math.h"
#include "common/kernels/transpose_body.h"

namespace attnrl::attention {
namespace {

using kernels::kLanes;
using kernels::Lanes;

inline constexpr int64_t kBlock = FlashKernel::kBlock;
inline constexpr int64_t kMostDim = FlashKernel::kMostDim;
// Rows of a tile: as many sums of sixteen lanes as registers hold.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 12;
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6;
#else
inline constexpr int kTileRows = 4;
#endif

inline constexpr int64_t TilesOf(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

// A matrix with its columns in panels of sixteen, [columns / 16, rows, 16].
struct Panels {
  const float* at;
  int64_t rows;

  const float* Row(int64_t panel, int64_t row) const { return at + (panel * rows + row) * kLanes; }
};

// y [Rows, 16], rows y_stride apart, becomes greater by the product of a and of `inputs` rows of
// sixteen; where `adds` is not set it becomes the product. a's rows are a_stride apart; Turned: a's
// columns are.
template <int Rows, bool Turned>
[[gnu::noinline]] void Tile(const float* a, int64_t a_stride, const float* b, int64_t inputs,
                            bool adds, float* y, int64_t y_stride) {
  Lanes sums[Rows];
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) sums[r] = Lanes::Broadcast(0);
  for (int64_t i = 0; i < inputs; ++i) {
    const Lanes row = Lanes::Load(b + i * kLanes);
    const float* const column = Turned ? a + i * a_stride : a + i;
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      const float each = Turned ? column[r] : column[r * a_stride];
      sums[r] = Fma(Lanes::Broadcast(each), row, sums[r]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    float* const target = y + r * y_stride;
    if (adds) sums[r] = Add(Lanes::Load(target), sums[r]);
    sums[r].Store(target);
  }
}

template <bool Turned, int Rows = kTileRows>
inline void TileOf(int64_t rows, const float* a, int64_t a_stride, const float* b, int64_t inputs,
                   bool adds, float* y, int64_t y_stride) {
  if constexpr (Rows > 1) {
    if (rows < Rows) {
      return TileOf<Turned, Rows - 1>(rows, a, a_stride, b, inputs, adds, y, y_stride);
    }
  }
  Tile<Rows, Turned>(a, a_stride, b, inputs, adds, y, y_stride);
}

// x [rows, dim] as the columns of a matrix [dim, kBlock], zeros behind them.
inline Panels Turn(const FlashRows& x, int64_t first, int64_t rows, int64_t dim, float* memory) {
  for (int64_t row = 0; row < rows; row += kLanes) {
    float* const panel = memory + row * dim;
    const int64_t count = rows - row < kLanes ? rows - row : kLanes;
    if (count < kLanes) {
      for (int64_t i = 0; i < dim * kLanes; ++i) panel[i] = 0;
    }
    kernels::Transpose(x.Row(first + row), x.stride, count, dim, panel, kLanes);
  }
  return {memory, dim};
}

// x [rows, dim] in panels.
inline Panels Straight(const FlashRows& x, int64_t first, int64_t rows, int64_t dim,
                       float* memory) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* const source = x.Row(first + row);
    for (int64_t i = 0; i < dim; i += kLanes) {
      Lanes::Load(source + i).Store(memory + i * rows + row * kLanes);
    }
  }
  return {memory, rows};
}

}  // namespace
}  // namespace attnrl::attention
