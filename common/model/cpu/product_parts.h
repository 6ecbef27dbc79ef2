// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

#include "common/attention/parallel.h"
#include "common/kernels/kernels.h"
#include "common/kernels/packed_matrix.h"

namespace attnrl::model {

// All panels of a product by `kernel`, on ParallelFor's threads. The panels are split over them, so
// that each weight is read by one; where there are too few, the rows of a panel too. Neither shows
// in the bits.
template <typename Input>
void MultiplyInParts(const kernels::ProductOf<Input>& whole,
                     void (*kernel)(const kernels::ProductOf<Input>&)) {
  constexpr int64_t kWorthAThread = int64_t{1} << 20;  // multiply-adds
  constexpr int64_t kWorthAMember = int64_t{1} << 16;
  constexpr int64_t kFewestRows = 96;
  constexpr int64_t kPanelsAThread = 4;
  constexpr int64_t kPanel = kernels::PackedMatrix::kPanel;
  const int64_t rows = whole.rows;
  const int64_t panels = (whole.matrix.out + kPanel - 1) / kPanel;
  int64_t parts = 1;
  while (parts * panels < kPanelsAThread * at::get_num_threads() &&
         rows >= 2 * parts * kFewestRows) {
    parts *= 2;
  }
  const int64_t work = std::max(int64_t{1}, rows / parts * whole.matrix.in * kPanel);
  const auto grain = [&](int64_t worth) { return (worth + work - 1) / work; };
  const auto multiply = [&](int64_t begin, int64_t end) {
    while (begin < end) {
      kernels::ProductOf<Input> product = whole;
      const int64_t part = begin / panels;
      const int64_t row = rows * part / parts;
      product.x += row * product.x_stride;
      product.y += row * product.y_stride;
      product.rows = rows * (part + 1) / parts - row;
      product.first_panel = begin % panels;
      product.last_panel = std::min(panels, product.first_panel + end - begin);
      kernel(product);
      begin += product.last_panel - product.first_panel;
    }
  };
  ParallelFor(parts * panels, grain(kWorthAThread), grain(kWorthAMember), multiply);
}

}  // namespace attnrl::model
