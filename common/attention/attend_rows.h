// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/attention/kv_cache.h"

namespace attnrl::attention {

// One query row over the cache: it sees the first `tokens` tokens of `slot`.
struct CachedRow {
  int64_t slot = 0;
  int64_t tokens = 0;
};

// True where AttendRows has a kernel for this cache: float32 or bfloat16 on the CPU.
bool CanAttendRows(const KvCache& cache);

// Softmax attention of each row of q [rows, heads, head_dim] with the fixed-order kernels, on the
// calling thread; computed in float32, returned in q's dtype. What a row gives depends on its own
// query, slot and tokens alone. It reads keys and values where they lie: for a decode pass of many
// short sequences that is several times faster than padding them to each other.
at::Tensor AttendRows(const KvCache& cache, int64_t layer, const at::Tensor& q,
                      const std::vector<CachedRow>& rows);

}  // namespace attnrl::attention
