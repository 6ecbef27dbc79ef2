// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>

#include "common/attention/paged/kernel.h"
#include "common/attention/paged/plan.h"
#include "common/attention/paged/plan_index.h"

namespace attnrl::attention {

struct PagedKvShape {
  int64_t layers = 0;
  int64_t blocks = 0;  // of kBlockTokens tokens
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
};

// Keys (rotary positions applied) and values in blocks, laid out as kernel.h says. It knows nothing
// of sequences: a plan says which block holds what. Memory: Bytes(); on the CPU taken from the
// system as blocks fill. One thread at a time.
class PagedKvCache {
 public:
  // dtype: float32 or bfloat16. Throws c10::Error when there is no memory for it.
  PagedKvCache(const PagedKvShape& shape, at::ScalarType dtype, at::Device device);

  const PagedKvShape& shape() const { return shape_; }
  at::ScalarType dtype() const { return keys_.scalar_type(); }
  at::Device device() const { return keys_.device(); }

  // Stores the rows of a pass, k and v [rows, kv_heads, head_dim] on the cache's device, at the
  // plan's places: on the CPU by the plan, on any device by its index.
  void Append(int64_t layer, const AttentionPlan& plan, const at::Tensor& k, const at::Tensor& v);
  void Append(int64_t layer, const PlanIndex& index, const at::Tensor& k, const at::Tensor& v);

  // For own kernels on the CPU, of the cache's dtype.
  template <typename T>
  LayerBlocks<T> Blocks(int64_t layer) const {
    const int64_t offset = layer * shape_.blocks * shape_.kv_heads * shape_.head_dim * kBlockTokens;
    return {static_cast<const T*>(keys_.const_data_ptr()) + offset,
            static_cast<const T*>(values_.const_data_ptr()) + offset};
  }

  // The same for kernels that append by themselves, on any device.
  template <typename T>
  struct MutableLayerBlocks {
    T* keys;
    T* values;
  };
  template <typename T>
  MutableLayerBlocks<T> MutableBlocks(int64_t layer) {
    const int64_t offset = layer * shape_.blocks * shape_.kv_heads * shape_.head_dim * kBlockTokens;
    return {static_cast<T*>(keys_.mutable_data_ptr()) + offset,
            static_cast<T*>(values_.mutable_data_ptr()) + offset};
  }

  // The tokens of a sequence, [tokens, kv_heads, head_dim], copied.
  struct Tokens {
    at::Tensor keys;
    at::Tensor values;
  };
  Tokens Gather(int64_t layer, const PlanIndex::Group& group) const;

  static int64_t Bytes(const PagedKvShape& shape, at::ScalarType dtype);

 private:
  PagedKvShape shape_;
  at::Tensor keys_;    // [layers, blocks, kv_heads, head_dim, kBlockTokens]
  at::Tensor values_;  // [layers, blocks, kv_heads, kBlockTokens, head_dim]
};

}  // namespace attnrl::attention
