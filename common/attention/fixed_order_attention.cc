// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order_attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "common/attention/fixed_order_kernels.h"

namespace attnrl::attention {
namespace {

const uint16_t* Bits(const at::Tensor& bfloat16) {
  return reinterpret_cast<const uint16_t*>(bfloat16.const_data_ptr<at::BFloat16>());
}

}  // namespace

FixedOrderAttention::FixedOrderAttention(KvCache& cache, const std::vector<SequenceRows>& sequences)
    : cache_(cache), append_(cache.AppendIndex(sequences)) {
  for (const SequenceRows& sequence : sequences) {
    for (int64_t i = 0; i < sequence.rows; ++i) {
      rows_.push_back({.slot = sequence.slot, .position = sequence.past + i});
    }
    longest_ = std::max(longest_, sequence.past + sequence.rows);
  }
}

at::Tensor FixedOrderAttention::Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v) {
  at::NoGradGuard no_grad;
  const KvCacheShape& shape = cache_.shape();
  const at::Tensor keys = cache_.keys(layer);
  const at::Tensor values = cache_.values(layer);
  cache_.Append(layer, append_, k, v);

  const at::Tensor queries = q.contiguous();
  at::Tensor result = at::empty(q.sizes(), q.options());
  std::vector<float> scratch(static_cast<size_t>(AttendScratch(longest_)));
  AttendArguments arguments{.heads = q.size(1),
                            .kv_heads = shape.kv_heads,
                            .head_dim = shape.head_dim,
                            .scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim)),
                            .scratch = scratch.data()};
  const int64_t row_size = q.size(1) * q.size(2);
  const int64_t slot_size = shape.max_tokens * shape.kv_heads * shape.head_dim;
  for (size_t r = 0; r < rows_.size(); ++r) {
    const Row& row = rows_[r];
    arguments.q = queries.const_data_ptr<float>() + static_cast<int64_t>(r) * row_size;
    arguments.out = result.mutable_data_ptr<float>() + static_cast<int64_t>(r) * row_size;
    arguments.tokens = row.position + 1;
    if (keys.scalar_type() == at::kFloat) {
      arguments.keys = keys.const_data_ptr<float>() + row.slot * slot_size;
      arguments.values = values.const_data_ptr<float>() + row.slot * slot_size;
    } else {
      arguments.keys_bfloat16 = Bits(keys) + row.slot * slot_size;
      arguments.values_bfloat16 = Bits(values) + row.slot * slot_size;
    }
    GetFixedOrderKernels().attend(arguments);
  }
  return result;
}

}  // namespace attnrl::attention
