// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/attention/attend_rows.h"
#include "common/attention/attention.h"
#include "common/attention/kv_cache.h"

namespace attnrl::attention {

// As CachedAttention, with own CPU kernels whose sums run in one fixed order: the bits of a row
// depend on its own sequence alone. Not on the other rows of the pass, not on how the prompt was
// cut into passes, not on prefill or decode, slot or thread count. Without gradients, CPU only; q,
// k and v are float32, the cache float32 or bfloat16 (what is read is what was stored).
class FixedOrderAttention final : public Attention {
 public:
  // The cache must outlive it.
  FixedOrderAttention(KvCache& cache, const std::vector<SequenceRows>& sequences);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

 private:
  KvCache& cache_;
  at::Tensor append_;  // of KvCache::AppendIndex
  std::vector<CachedRow> rows_;
};

}  // namespace attnrl::attention
