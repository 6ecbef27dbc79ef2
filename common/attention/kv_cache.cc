// SPDX-License-Identifier: Apache-2.0
#include "common/attention/kv_cache.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <sys/mman.h>

#include <new>

namespace attnrl::attention {
namespace {

// Zeros, not just memory: what lies beyond a sequence's end is masked, but 0 * NaN would show. On
// the CPU they are pages that the system gives when they are first written; at::zeros would write
// all.
at::Tensor LazyZeros(const std::vector<int64_t>& sizes, at::TensorOptions options) {
  if (!options.device().is_cpu()) return at::zeros(sizes, options);
  auto bytes = static_cast<size_t>(options.dtype().itemsize());
  for (const int64_t size : sizes) bytes *= static_cast<size_t>(size);
  if (bytes == 0) return at::zeros(sizes, options);
  void* pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  return at::from_blob(
      pages, sizes, [bytes](void* start) { ::munmap(start, bytes); }, options);
}

}  // namespace

KvCache::KvCache(const KvCacheShape& shape, at::ScalarType dtype, at::Device device)
    : shape_(shape) {
  const std::vector<int64_t> sizes = {shape.layers, shape.slots, shape.max_tokens, shape.kv_heads,
                                      shape.head_dim};
  keys_ = LazyZeros(sizes, at::TensorOptions(dtype).device(device));
  values_ = LazyZeros(sizes, at::TensorOptions(dtype).device(device));
}

at::Tensor KvCache::AppendIndex(const std::vector<SequenceRows>& sequences) const {
  std::vector<int64_t> index;
  for (const SequenceRows& sequence : sequences) {
    for (int64_t i = 0; i < sequence.rows; ++i) {
      index.push_back(sequence.slot * shape_.max_tokens + sequence.past + i);
    }
  }
  return at::tensor(index, at::TensorOptions(at::kLong)).to(keys_.device());
}

void KvCache::Append(int64_t layer, const at::Tensor& index, const at::Tensor& k,
                     const at::Tensor& v) {
  keys(layer).flatten(0, 1).index_copy_(0, index, k.to(keys_.scalar_type()));
  values(layer).flatten(0, 1).index_copy_(0, index, v.to(values_.scalar_type()));
}

void KvCache::CopyPrefix(int64_t from_slot, int64_t to_slot, int64_t tokens) {
  at::NoGradGuard no_grad;
  for (const at::Tensor& cache : {keys_, values_}) {
    cache.select(1, to_slot)
        .narrow(1, 0, tokens)
        .copy_(cache.select(1, from_slot).narrow(1, 0, tokens));
  }
}

int64_t KvCache::Bytes(const KvCacheShape& shape, at::ScalarType dtype) {
  return 2 * shape.layers * shape.slots * shape.max_tokens * shape.kv_heads * shape.head_dim *
         static_cast<int64_t>(c10::elementSize(dtype));
}

}  // namespace attnrl::attention
