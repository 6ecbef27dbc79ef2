// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/paged_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "common/attention/grouped_heads.h"
#include "common/attention/paged/kernel.h"
#include "common/attention/parallel.h"
#include "common/device/kept_tensors.h"

namespace attnrl::attention {
namespace {

// Each thread takes what is next: items differ in length.
template <typename Item>
void OnAllThreads(int64_t items, const Item& run) {
  std::atomic<int64_t> next = 0;
  ParallelFor(at::get_num_threads(), 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread) {
      for (int64_t item = next++; item < items; item = next++) run(item);
    }
  });
}

}  // namespace

PagedAttention::PagedAttention(PagedKvCache& cache, const AttentionPlan& plan, Kernels kernels,
                               std::span<const ScoredRow> scored)
    : cache_(cache),
      plan_(plan),
      kernels_(cache.device().is_cpu() ? kernels : Kernels::kAten),
      scored_(scored) {
  if (scored.empty()) return;
  scored_of_.assign(static_cast<size_t>(plan.rows()), -1);
  for (size_t i = 0; i < scored.size(); ++i) {
    scored_of_[static_cast<size_t>(scored[i].row)] = static_cast<int32_t>(i);
  }
}

PagedAttention::PagedAttention(PagedKvCache& cache, const AttentionPlan& plan, PlanIndex index)
    : cache_(cache), plan_(plan), kernels_(Kernels::kAten), index_(std::move(index)) {}

at::Tensor PagedAttention::Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                   const at::Tensor& v) {
  if (kernels_ == Kernels::kBest) {
    cache_.Append(layer, plan_, k, v);
    return Attend(layer, q);
  }
  cache_.Append(layer, Index(), k, v);
  return AttendByAten(layer, q);
}

const PlanIndex& PagedAttention::Index() {
  if (!index_.has_value()) {
    device::Upload upload;
    index_.emplace(plan_, upload);
    upload.Send(cache_.device());
    index_->Receive(upload);
  }
  return *index_;
}

at::Tensor PagedAttention::Attend(int64_t layer, const at::Tensor& q) {
  const PagedKvShape& shape = cache_.shape();
  const bool dense = q.scalar_type() == at::kFloat && q.is_contiguous();
  const at::Tensor queries = dense ? q : q.to(at::kFloat).contiguous();
  const PagedKernel& kernel = GetPagedKernel();
  const auto row_sets = static_cast<int64_t>(plan_.row_sets().size()) - 1;
  // Where there is less to do at once than threads, segments are met by several of them, each in a
  // slot of its own. The order in which they are folded is the same.
  const bool split = plan_.segments() > 1 && row_sets * shape.kv_heads < at::get_num_threads();
  const int64_t slots = split ? plan_.segments() : std::min(plan_.segments(), 2);
  using device::KeptTensors;
  const at::Tensor result =
      KeptTensors::Empty({slots * q.size(0), q.size(1), q.size(2)}, at::kFloat);
  // Running sums of the kernel.
  const at::Tensor largest = KeptTensors::Empty({slots * q.size(0), q.size(1)}, at::kFloat);
  const at::Tensor sum = KeptTensors::Empty(largest.sizes(), at::kFloat);
  PagedArguments arguments{.tasks = plan_.tasks().data(),
                           .pieces = plan_.pieces().data(),
                           .visible = plan_.visible().data(),
                           .q = queries.const_data_ptr<float>(),
                           .heads = q.size(1),
                           .kv_heads = shape.kv_heads,
                           .head_dim = shape.head_dim,
                           .scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim)),
                           .scored = scored_.empty() ? nullptr : scored_.data(),
                           .scored_of = scored_.empty() ? nullptr : scored_of_.data(),
                           .layer = layer,
                           .rows = q.size(0),
                           .out = result.mutable_data_ptr<float>(),
                           .largest = largest.mutable_data_ptr<float>(),
                           .sum = sum.mutable_data_ptr<float>()};
  if (cache_.dtype() == at::kFloat) {
    arguments.float32 = cache_.Blocks<float>(layer);
  } else {
    arguments.bfloat16 = cache_.Blocks<uint16_t>(layer);
  }
  const std::span<const TaskChain> chains = plan_.chains();
  if (split) {
    OnAllThreads(static_cast<int64_t>(chains.size()) * shape.kv_heads, [&](int64_t item) {
      const TaskChain& chain = chains[static_cast<size_t>(item / shape.kv_heads)];
      kernel.attend(arguments, chain, item % shape.kv_heads, chain.segment);
    });
  }
  OnAllThreads(row_sets * shape.kv_heads, [&](int64_t item) {
    const auto set = static_cast<size_t>(item / shape.kv_heads);
    const int64_t kv_head = item % shape.kv_heads;
    const auto first = static_cast<size_t>(plan_.row_sets()[set]);
    const auto last = static_cast<size_t>(plan_.row_sets()[set + 1]);
    for (const TaskChain& chain : chains.subspan(first, last - first)) {
      const int64_t slot = split ? chain.segment : std::min(chain.segment, 1);
      if (!split) kernel.attend(arguments, chain, kv_head, slot);
      if (slot > 0) kernel.fold(arguments, chain, kv_head, slot);
    }
    kernel.finish(arguments, chains[first], kv_head);
  });
  result.resize_({q.size(0), q.size(1), q.size(2)});  // the first slot: nothing is moved
  return q.scalar_type() == at::kFloat ? result : result.to(q.scalar_type());
}

at::Tensor PagedAttention::AttendByAten(int64_t layer, const at::Tensor& q) const {
  at::Tensor result = at::empty_like(q);
  const int64_t repeats = q.size(1) / cache_.shape().kv_heads;
  const auto by_head = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  for (const PlanIndex::Group& group : index_->groups()) {
    const auto [keys, values] = cache_.Gather(layer, group);
    std::optional<at::Tensor> mask;
    const int64_t past = group.tokens - group.rows;
    if (group.rows > 1 && past > 0) {
      const at::TensorOptions options = at::TensorOptions(at::kLong).device(q.device());
      mask =
          at::arange(group.tokens, options) <= at::arange(past, group.tokens, options).unsqueeze(1);
    }
    const at::Tensor attended =
        at::scaled_dot_product_attention(by_head(q.narrow(0, group.first_row, group.rows)),
                                         RepeatHeads(by_head(keys.to(q.scalar_type())), repeats),
                                         RepeatHeads(by_head(values.to(q.scalar_type())), repeats),
                                         mask, 0.0, group.rows > 1 && past == 0);
    result.narrow(0, group.first_row, group.rows).copy_(attended.squeeze(0).transpose(0, 1));
  }
  return result;
}

}  // namespace attnrl::attention
