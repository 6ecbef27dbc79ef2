// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace attnrl::attention {

// Grouped-query attention by repeating: [batch, kv_heads, length, head_dim] ->
// [batch, kv_heads * repeats, length, head_dim], each head `repeats` times in a row.
// Differentiable.
inline at::Tensor RepeatHeads(const at::Tensor& x, int64_t repeats) {
  if (repeats == 1) return x;
  return x.unsqueeze(2).expand({x.size(0), x.size(1), repeats, x.size(2), x.size(3)}).flatten(1, 2);
}

}  // namespace attnrl::attention
