// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/attention/cuda/fci_tiles.h"
#include "common/kernels/cuda/launch.h"

namespace attnrl::attention {

// FCI of one layer of a pass over whole sequences (common/attention/fci/README.md, "Definition"),
// after its attention was computed: that leaves the log-sum-exp of each query's scores, with which
// a probability is one exponential, in any order. All pointers are of the GPU; T is float or
// cuda::BFloat16.
template <typename T>
struct FciPass {
  // Of the FciTiles.
  const FciTile* tiles = nullptr;
  const int32_t* first_query = nullptr;
  const float* share = nullptr;
  const FciStep* steps = nullptr;
  int32_t step_count = 0;
  const T* q = nullptr;        // [rows, heads, head_dim]
  const T* k = nullptr;        // [rows, kv_heads, head_dim]
  const float* lse = nullptr;  // [rows, heads], natural log
  int64_t rows = 0;
  int32_t heads = 0;  // a multiple of kv_heads
  int32_t kv_heads = 0;
  float scale = 1;            // of the dot products
  double* columns = nullptr;  // scratch: what each key is paid, [heads, rows]
  // Raised to the layer's; begin as zeros.
  float* scores = nullptr;
};

// Two launches on `stream`; `head_dim` is 64 or 128. Memory beside the arguments: none.
template <typename T>
[[nodiscard]] cuda::LaunchError LaunchFci(const FciPass<T>& pass, int64_t tiles, int64_t head_dim,
                                          cuda::Stream stream);

}  // namespace attnrl::attention
