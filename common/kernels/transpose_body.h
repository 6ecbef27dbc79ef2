// SPDX-License-Identifier: Apache-2.0
#pragma once

// The transpose of kernels.h. Included once by each kernels_<isa>.cc, whose flags decide what
// instructions its shuffles become.
#include <cstdint>

namespace attnrl::kernels {
namespace {

using EightFloats [[gnu::vector_size(32)]] = float;

// Eight rows of x become eight columns of y: pairs of rows are mingled by one, by two and by four.
inline void TransposeEight(const float* x, int64_t x_stride, float* y, int64_t y_stride) {
  EightFloats a[8], b[8];
  for (int i = 0; i < 8; ++i) __builtin_memcpy(&a[i], x + i * x_stride, sizeof(a[i]));
  for (int i = 0; i < 8; i += 2) {
    b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) {
      const EightFloats low = b[i + j];
      const EightFloats high = b[i + j + 2];
      a[i + 2 * j] = __builtin_shufflevector(low, high, 0, 1, 8, 9, 4, 5, 12, 13);
      a[i + 2 * j + 1] = __builtin_shufflevector(low, high, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int i = 0; i < 4; ++i) {
    b[i] = __builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    b[i + 4] = __builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < 8; ++i) __builtin_memcpy(y + i * y_stride, &b[i], sizeof(b[i]));
}

void Transpose(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* y,
               int64_t y_stride) {
  const int64_t whole_rows = rows / 8 * 8;
  const int64_t whole_columns = columns / 8 * 8;
  for (int64_t r = 0; r < whole_rows; r += 8) {
    for (int64_t c = 0; c < whole_columns; c += 8) {
      TransposeEight(x + r * x_stride + c, x_stride, y + c * y_stride + r, y_stride);
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t first = r < whole_rows ? whole_columns : 0;
    for (int64_t c = first; c < columns; ++c) y[c * y_stride + r] = x[r * x_stride + c];
  }
}

}  // namespace
}  // namespace attnrl::kernels
