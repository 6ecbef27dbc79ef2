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
  // Side by side, as one product gives them: [rows, (heads + 2 * kv_heads) * head_dim].
  const T* projected = nullptr;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_dim = 0;  // even
  // By position, [positions, head_dim]; the first half of `sine` is negated, as RotaryRows
  // (common/model/operators.h).
  const float* cosine = nullptr;
  const float* sine = nullptr;
  const int32_t* visible = nullptr;  // of the AttentionPlan: position + 1
  const RowPlace* places = nullptr;
  T* q = nullptr;  // [rows, heads, head_dim]
  // Of the layer, as LayerBlocks (common/attention/paged/kernel.h).
  T* keys = nullptr;
  T* values = nullptr;
};

// One launch on `stream`. Until the engine runs on it, tests/bench/gpu/decode_check.cc calls it.
template <typename T>
[[nodiscard]] cuda::LaunchError LaunchAppendRows(const AppendRows<T>& pass, int64_t rows,
                                                 cuda::Stream stream);

}  // namespace attnrl::attention
