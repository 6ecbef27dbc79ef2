// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/attention/paged/plan.h"
#include "common/kernels/cuda/launch.h"

namespace attnrl::attention {

// Queries and keys of a pass turned to their positions, and its keys and values put into the paged
// cache: what stands between a layer's first product and LaunchPagedDecode. All pointers are of the
// GPU; T is float or cuda::BFloat16, computed in float32 and rounded once.
template <typename T>
struct AppendRows {
  // [rows, heads, head_dim], k and v [rows, kv_heads, head_dim]; from row to row as many numbers as
  // the strides say, so that all may lie in the result of one product. q null: left as it is.
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  int64_t q_stride = 0;
  int64_t k_stride = 0;
  int64_t v_stride = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_dim = 0;  // even
  // By position, [positions, head_dim]; the first half of `sine` is negated, as RotaryRows
  // (common/model/operators.h). Null: queries and keys have been turned.
  const float* cosine = nullptr;
  const float* sine = nullptr;
  const int32_t* visible = nullptr;  // of the AttentionPlan: position + 1
  const RowPlace* places = nullptr;
  T* turned = nullptr;  // [rows, heads, head_dim]; not written where q is null
  // Of the layer, as LayerBlocks (common/attention/paged/kernel.h).
  T* keys = nullptr;
  T* values = nullptr;
};

// One launch on `stream`.
template <typename T>
[[nodiscard]] cuda::LaunchError LaunchAppendRows(const AppendRows<T>& pass, int64_t rows,
                                                 cuda::Stream stream);

}  // namespace attnrl::attention
