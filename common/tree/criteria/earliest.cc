// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "common/tree/criteria/points.h"

namespace attnrl::tree {

std::vector<BranchPoint> EarliestPoints(std::span<const StepRange> steps, int64_t count) {
  std::vector<BranchPoint> points;
  if (steps.size() < 3) return points;  // the prompt and one response step at most
  const std::span<const StepRange> candidates = steps.subspan(2);
  const int64_t prompt_tokens = steps.front().second;
  for (int64_t i = 0; i < count; ++i) {
    const StepRange& step = candidates[static_cast<size_t>(i) % candidates.size()];
    points.push_back({step.first - prompt_tokens, PointOrigin::kChosen});
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const BranchPoint& a, const BranchPoint& b) { return a.split < b.split; });
  return points;
}

}  // namespace attnrl::tree
