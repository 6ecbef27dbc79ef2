// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order_attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace attnrl::attention {

FixedOrderAttention::FixedOrderAttention(KvCache& cache, const std::vector<SequenceRows>& sequences)
    : cache_(cache), append_(cache.AppendIndex(sequences)) {
  for (const SequenceRows& sequence : sequences) {
    for (int64_t i = 0; i < sequence.rows; ++i) {
      rows_.push_back({.slot = sequence.slot, .tokens = sequence.past + i + 1});
    }
  }
}

at::Tensor FixedOrderAttention::Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v) {
  at::NoGradGuard no_grad;
  cache_.Append(layer, append_, k, v);
  return AttendRows(cache_, layer, q, rows_);
}

}  // namespace attnrl::attention
