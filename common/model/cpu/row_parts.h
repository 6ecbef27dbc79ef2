// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

#include "common/attention/parallel.h"
#include "common/device/kept_tensors.h"

namespace attnrl::model {

// Calls run(begin, end) for ranges of rows (ParallelFor); what is too little work for two threads
// stays on this one. `row_work`: multiply-adds of a row, or as many elements times 16. Rows are
// computed alike wherever they are.
template <typename Run>
void ForRows(int64_t rows, int64_t row_work, const Run& run) {
  constexpr int64_t kWorthAThread = int64_t{1} << 20;
  constexpr int64_t kWorthAMember = int64_t{1} << 16;
  const int64_t work = std::max(int64_t{1}, row_work);
  ParallelFor(rows, std::max(int64_t{1}, kWorthAThread / work),
              std::max(int64_t{1}, kWorthAMember / work), run);
}

// float32 on the CPU, of the thread's kept tensors where it has some.
inline at::Tensor EmptyFloats(at::IntArrayRef sizes) {
  return device::KeptTensors::Empty(sizes, at::kFloat);
}

inline const float* Floats(const at::Tensor& x) { return x.const_data_ptr<float>(); }

// x where the elements of each row (dimension 0) are dense, else a copy that is.
inline at::Tensor DenseRows(const at::Tensor& x) {
  int64_t size = 1;
  for (int64_t dimension = x.dim() - 1; dimension > 0; --dimension) {
    if (x.stride(dimension) != size) return x.contiguous();
    size *= x.size(dimension);
  }
  return x;
}

}  // namespace attnrl::model
