// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "common/attention/attention.h"
#include "common/attention/paged/paged_kv_cache.h"
#include "common/attention/paged/plan.h"
#include "common/attention/paged/plan_index.h"

namespace attnrl::attention {

// Attention over a paged cache, for decoding and for prompts alike: stores the pass's keys and
// values at the plan's places, then attends by the plan. On the CPU with the kernel of kernel.h, on
// at::get_num_threads() threads, computed in float32 and returned in q's dtype: a row's bits don't
// depend on the plan. Elsewhere sequence by sequence through ATen. Without gradients.
//
// The cache and the plan must outlive it, and the plan stays as it is. One thread.
class PagedAttention final : public Attention {
 public:
  // kAten: as on a device without a kernel; the reference of the tests.
  enum class Kernels { kBest, kAten };
  // `scored`: rows whose attention to steps is added up on the way, by ascending row; only with the
  // kernel, and one row of a sequence at most.
  PagedAttention(PagedKvCache& cache, const AttentionPlan& plan, Kernels kernels = Kernels::kBest,
                 std::span<const ScoredRow> scored = {});
  // On a device, with an index of the plan that is there already; otherwise the first Forward
  // brings one there.
  PagedAttention(PagedKvCache& cache, const AttentionPlan& plan, PlanIndex index);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

 private:
  at::Tensor Attend(int64_t layer, const at::Tensor& q);
  at::Tensor AttendByAten(int64_t layer, const at::Tensor& q) const;
  const PlanIndex& Index();

  PagedKvCache& cache_;
  const AttentionPlan& plan_;
  const Kernels kernels_;
  std::optional<PlanIndex> index_;  // only without the kernel
  const std::span<const ScoredRow> scored_;
  std::vector<int32_t> scored_of_;  // by row; empty where none is scored
};

}  // namespace attnrl::attention
