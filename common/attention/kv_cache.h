// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

#include "common/attention/attention.h"

namespace attnrl::attention {

struct KvCacheShape {
  int64_t layers = 0;
  int64_t slots = 0;       // sequences held at once
  int64_t max_tokens = 0;  // of one sequence
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
};

// Keys (rotary positions applied) and values of up to `slots` sequences. It knows nothing of who
// uses a slot or how many of its tokens are valid: the owner of the sequences does. Memory:
// 2 * layers * slots * max_tokens * kv_heads * head_dim elements; on the CPU taken from the system
// as they fill. Not thread-safe.
class KvCache {
 public:
  KvCache(const KvCacheShape& shape, at::ScalarType dtype, at::Device device);

  const KvCacheShape& shape() const { return shape_; }
  // [slots, max_tokens, kv_heads, head_dim], a view.
  at::Tensor keys(int64_t layer) const { return keys_.select(0, layer); }
  at::Tensor values(int64_t layer) const { return values_.select(0, layer); }

  // Where the rows of a pass go: int64 [rows], slot * max_tokens + position, on the cache's device.
  at::Tensor AppendIndex(const std::vector<SequenceRows>& sequences) const;
  // Stores k, v [rows, kv_heads, head_dim], converted to the cache's dtype, at `index`.
  void Append(int64_t layer, const at::Tensor& index, const at::Tensor& k, const at::Tensor& v);

  // Copies the first `tokens` tokens of one slot to another, all layers: sequences that start with
  // the same prompt share one prefill.
  void CopyPrefix(int64_t from_slot, int64_t to_slot, int64_t tokens);

  // Bytes of a cache of this shape.
  static int64_t Bytes(const KvCacheShape& shape, at::ScalarType dtype);

 private:
  KvCacheShape shape_;
  at::Tensor keys_;    // [layers, slots, max_tokens, kv_heads, head_dim]
  at::Tensor values_;  // the same
};

}  // namespace attnrl::attention
