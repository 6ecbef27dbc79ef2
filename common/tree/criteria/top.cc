// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "common/tree/criteria/distance.h"
#include "common/tree/criteria/points.h"

namespace attnrl::tree {

std::vector<BranchPoint> TopPoints(std::span<const StepRange> steps, std::span<const float> fci,
                                   const PointOptions& options) {
  if (steps.size() <= kFirstCandidate || options.count < 1) return {};
  std::vector<size_t> order;
  for (size_t step = kFirstCandidate; step < steps.size(); ++step) {
    if (fci[step] > 0) order.push_back(step);
  }
  std::stable_sort(order.begin(), order.end(),
                   [fci](size_t a, size_t b) { return fci[a] > fci[b]; });
  std::vector<size_t> taken;
  for (const size_t step : order) {
    if (taken.size() == static_cast<size_t>(options.count)) break;
    if (!options.spaced || KeepsDistance(steps, step, taken, options.min_distance))
      taken.push_back(step);
  }
  return PointsAt(steps, taken, std::vector<PointOrigin>(taken.size(), PointOrigin::kChosen));
}

}  // namespace attnrl::tree
