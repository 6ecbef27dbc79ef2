// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/cuda/launch.h"

namespace attnrl::cuda {

// Operations of a decoder between its products, fused so that each number crosses memory once. All
// pointers are of the GPU and begin at a multiple of 16 bytes; T is float or BFloat16, computed in
// float32 and rounded once.

// x += added, then y = weight * x / sqrt(mean(x^2) + eps), of the x that was rounded.
template <typename T>
struct ResidualNorm {
  T* x = nullptr;            // [rows, n]
  const T* added = nullptr;  // [rows, n]; null: x stays as it is
  const T* weight = nullptr;
  T* y = nullptr;  // [rows, n]
  int64_t n = 0;   // a multiple of 16 bytes, at most kMost
  float eps = 0;

  static constexpr int64_t kMost = 8192;
};

// y = gate / (1 + exp(-gate)) * up.
template <typename T>
struct GatedSilu {
  const T* gate = nullptr;  // [rows, n], rows `stride` apart, a multiple of 16 bytes
  const T* up = nullptr;    // the same
  int64_t stride = 0;
  T* y = nullptr;  // [rows, n]
  int64_t n = 0;   // a multiple of 16 bytes
};

// One launch on `stream` each.
template <typename T>
[[nodiscard]] LaunchError LaunchResidualNorm(const ResidualNorm<T>& norm, int64_t rows,
                                             Stream stream);
template <typename T>
[[nodiscard]] LaunchError LaunchGatedSilu(const GatedSilu<T>& silu, int64_t rows, Stream stream);

}  // namespace attnrl::cuda
