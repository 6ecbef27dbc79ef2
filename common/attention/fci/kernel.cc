// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fci/kernel.h"

#include <algorithm>

#include "common/kernels/isa.h"

namespace attnrl::attention {

extern const FciKernel kPortableFciKernel;
#if defined(__x86_64__)
extern const FciKernel kAvx2FciKernel;
extern const FciKernel kAvx512FciKernel;
#endif

FciPlan::FciPlan(std::span<const std::pair<int64_t, int64_t>> steps, int64_t delta)
    : rows_(steps.back().second) {
  query_share_.assign(static_cast<size_t>(blocks() * kFciQueries), 0.0F);
  const auto count = static_cast<int64_t>(steps.size());
  for (int64_t s = 0; s < count; ++s) {
    const auto [begin, end] = steps[static_cast<size_t>(s)];
    const int64_t left = count - s;
    first_query_.push_back(delta < left ? steps[static_cast<size_t>(s + delta)].first : rows_);
    std::fill(query_share_.begin() + begin, query_share_.begin() + end,
              1.0F / static_cast<float>(end - begin));
    for (int64_t at = begin; at < end;) {
      if (at % kFciKeys == 0) first_piece_.push_back(static_cast<int64_t>(pieces_.size()));
      const int64_t stop = std::min(end, (at / kFciKeys + 1) * kFciKeys);
      pieces_.push_back({.begin = at, .end = stop, .step = s});
      at = stop;
    }
  }
  first_piece_.push_back(static_cast<int64_t>(pieces_.size()));
}

int64_t FciScratch(const FciPlan& plan, int64_t head_dim) {
  const int64_t rows = static_cast<int64_t>(plan.pieces().size()) + plan.tiles();
  return kFciQueries * (rows + kFciKeys + 2 * head_dim);
}

std::vector<const FciKernel*> AllFciKernels() {
  std::vector<const FciKernel*> all = {&kPortableFciKernel};
#if defined(__x86_64__)
  if (kernels::FastestIsa() >= kernels::Isa::kAvx2) all.push_back(&kAvx2FciKernel);
  if (kernels::FastestIsa() >= kernels::Isa::kAvx512) all.push_back(&kAvx512FciKernel);
#endif
  return all;
}

const FciKernel& GetFciKernel() {
  static const FciKernel& used = kernels::BestOf(AllFciKernels());
  return used;
}

}  // namespace attnrl::attention
