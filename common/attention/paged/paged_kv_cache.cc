// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/paged_kv_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "common/attention/parallel.h"
#include "common/kernels/large_pages.h"

namespace attnrl::attention {
namespace {

// Rows that are worth a thread of their own.
constexpr int64_t kRowsAThread = 32;
constexpr int64_t kRowsAMember = 4;

// float32 with the elements of a row side by side.
at::Tensor FloatRows(const at::Tensor& x) {
  const at::Tensor wide = x.scalar_type() == at::kFloat ? x : x.to(at::kFloat);
  const bool dense = wide.stride(2) == 1 && wide.stride(1) == wide.size(2);
  return dense ? wide : wide.contiguous();
}

// Rounds to the cache's type, and turns keys: the elements of a token lie kBlockTokens apart.
template <typename T>
void Store(const PagedKvShape& shape, const std::vector<RowPlace>& places, const at::Tensor& k,
           const at::Tensor& v, PagedKvCache::MutableLayerBlocks<T> to) {
  const int64_t n = shape.head_dim;
  const auto* const new_keys = k.const_data_ptr<float>();
  const auto* const new_values = v.const_data_ptr<float>();
  const int64_t key_stride = k.stride(0);
  const int64_t value_stride = v.stride(0);
  ParallelFor(static_cast<int64_t>(places.size()), kRowsAThread, kRowsAMember,
              [&](int64_t begin, int64_t end) {
                for (int64_t row = begin; row < end; ++row) {
                  const RowPlace place = places[static_cast<size_t>(row)];
                  for (int64_t head = 0; head < shape.kv_heads; ++head) {
                    const int64_t block = (place.block * shape.kv_heads + head) * n * kBlockTokens;
                    const float* const from = new_keys + row * key_stride + head * n;
                    T* const key = to.keys + block + place.offset;
                    for (int64_t d = 0; d < n; ++d) key[d * kBlockTokens] = static_cast<T>(from[d]);
                    const float* const value = new_values + row * value_stride + head * n;
                    std::copy_n(value, n, to.values + block + place.offset * n);
                  }
                }
              });
}

}  // namespace

PagedKvCache::PagedKvCache(const PagedKvShape& shape, at::ScalarType dtype, at::Device device)
    : shape_(shape) {
  const at::TensorOptions options = at::TensorOptions(dtype).device(device);
  keys_ = at::empty({shape.layers, shape.blocks, shape.kv_heads, shape.head_dim, kBlockTokens},
                    options);
  values_ = at::empty({shape.layers, shape.blocks, shape.kv_heads, kBlockTokens, shape.head_dim},
                      options);
  if (!device.is_cpu()) return;
  for (const at::Tensor* tensor : {&keys_, &values_}) {
    kernels::AskForLargePages(tensor->mutable_data_ptr(), tensor->nbytes());
  }
}

void PagedKvCache::Append(int64_t layer, const AttentionPlan& plan, const at::Tensor& k,
                          const at::Tensor& v) {
  const at::Tensor keys = FloatRows(k);
  const at::Tensor values = FloatRows(v);
  if (dtype() == at::kFloat) {
    return Store(shape_, plan.places(), keys, values, MutableBlocks<float>(layer));
  }
  Store(shape_, plan.places(), keys, values, MutableBlocks<at::BFloat16>(layer));
}

void PagedKvCache::Append(int64_t layer, const PlanIndex& index, const at::Tensor& k,
                          const at::Tensor& v) {
  const at::Tensor& block = index.row_blocks();
  const at::Tensor& offset = index.row_offsets();
  keys_.select(0, layer).permute({0, 3, 1, 2}).index_put_({block, offset}, k.to(dtype()));
  values_.select(0, layer).permute({0, 2, 1, 3}).index_put_({block, offset}, v.to(dtype()));
}

PagedKvCache::Tokens PagedKvCache::Gather(int64_t layer, const PlanIndex::Group& group) const {
  return {keys_.select(0, layer).permute({0, 3, 1, 2}).index({group.blocks, group.offsets}),
          values_.select(0, layer).permute({0, 2, 1, 3}).index({group.blocks, group.offsets})};
}

int64_t PagedKvCache::Bytes(const PagedKvShape& shape, at::ScalarType dtype) {
  return 2 * shape.layers * shape.blocks * shape.kv_heads * shape.head_dim * kBlockTokens *
         static_cast<int64_t>(c10::elementSize(dtype));
}

}  // namespace attnrl::attention
