// SPDX-License-Identifier: Apache-2.0
#include "common/attention/attend_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "common/attention/fixed_order/kernels.h"

namespace attnrl::attention {
namespace {

const uint16_t* Bits(const at::Tensor& bfloat16) {
  return reinterpret_cast<const uint16_t*>(bfloat16.const_data_ptr<at::BFloat16>());
}

}  // namespace

bool CanAttendRows(const KvCache& cache) {
  const at::Tensor keys = cache.keys(0);
  return keys.device().is_cpu() &&
         (keys.scalar_type() == at::kFloat || keys.scalar_type() == at::kBFloat16);
}

at::Tensor AttendRows(const KvCache& cache, int64_t layer, const at::Tensor& q,
                      const std::vector<CachedRow>& rows) {
  const KvCacheShape& shape = cache.shape();
  const at::Tensor keys = cache.keys(layer);
  const at::Tensor values = cache.values(layer);
  const at::Tensor queries = q.to(at::kFloat).contiguous();
  at::Tensor result = at::empty(q.sizes(), queries.options());
  int64_t longest = 0;
  for (const CachedRow& row : rows) longest = std::max(longest, row.tokens);
  std::vector<float> scratch(static_cast<size_t>(AttendScratch(q.size(1), longest)));

  AttendArguments arguments{.heads = q.size(1),
                            .kv_heads = shape.kv_heads,
                            .head_dim = shape.head_dim,
                            .scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim)),
                            .scratch = scratch.data()};
  const int64_t row_size = q.size(1) * q.size(2);
  const int64_t slot_size = shape.max_tokens * shape.kv_heads * shape.head_dim;
  for (size_t r = 0; r < rows.size(); ++r) {
    const int64_t row = static_cast<int64_t>(r) * row_size;
    const int64_t slot = rows[r].slot * slot_size;
    arguments.q = queries.const_data_ptr<float>() + row;
    arguments.out = result.mutable_data_ptr<float>() + row;
    arguments.tokens = rows[r].tokens;
    if (keys.scalar_type() == at::kFloat) {
      arguments.keys = keys.const_data_ptr<float>() + slot;
      arguments.values = values.const_data_ptr<float>() + slot;
    } else {
      arguments.keys_bfloat16 = Bits(keys) + slot;
      arguments.values_bfloat16 = Bits(values) + slot;
    }
    GetFixedOrderKernels().attend(arguments);
  }
  return result.to(q.scalar_type());
}

}  // namespace attnrl::attention
