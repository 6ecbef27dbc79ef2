// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace attnrl::attention {

// How the attention of one forward pass is computed: the one seam between training (dense, with
// gradients), decoding (KV cache) and the deterministic mode (fixed order). An object is made for
// one pass over one layout of rows, is called once a layer in order, and is used by one thread.
//
// "Rows" are all tokens of all sequences of the pass, one after the other, without padding.
class Attention {
 public:
  virtual ~Attention() = default;

  // Whether Forward wants queries and keys as their products gave them and applies the rotary
  // positions itself, on the way into its cache.
  virtual bool Rotates() const { return false; }

  // Causal softmax(q k' / sqrt(head_dim)) v within each sequence.
  // q [rows, heads, head_dim], k and v [rows, kv_heads, head_dim], rotary positions applied (unless
  // it Rotates), of one dtype and device; heads is a multiple of kv_heads, query head h reads key
  // head h / (heads / kv_heads). Returns [rows, heads, head_dim] in q's dtype.
  virtual at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                             const at::Tensor& v) = 0;
};

}  // namespace attnrl::attention
