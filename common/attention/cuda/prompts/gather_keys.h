// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/attention/cuda/prompts/prompt_plan.h"
#include "common/kernels/cuda/launch.h"

namespace attnrl::attention {

inline constexpr int32_t kMostGatheredHead = 128;  // numbers of a head

// Keys and values of some pieces of a paged cache (LayerBlocks, common/attention/paged/kernel.h),
// brought side by side, keys turned back. All pointers are of the GPU; T is float or
// cuda::BFloat16.
template <typename T>
struct GatherKeys {
  const GatheredPiece* pieces = nullptr;
  const T* keys = nullptr;  // of the layer
  const T* values = nullptr;
  int32_t kv_heads = 0;
  int32_t head_dim = 0;     // at most kMostGatheredHead
  T* gathered_k = nullptr;  // [tokens, kv_heads, head_dim]
  T* gathered_v = nullptr;
};

// One launch on `stream`.
template <typename T>
[[nodiscard]] cuda::LaunchError LaunchGatherKeys(const GatherKeys<T>& pass, int64_t pieces,
                                                 cuda::Stream stream);

}  // namespace attnrl::attention
