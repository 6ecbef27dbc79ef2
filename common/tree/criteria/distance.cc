// SPDX-License-Identifier: Apache-2.0
#include "common/tree/criteria/distance.h"

#include <algorithm>

namespace attnrl::tree {

bool KeepsDistance(std::span<const StepRange> steps, size_t candidate,
                   const std::vector<size_t>& taken, int64_t distance) {
  if (steps[candidate].first < distance) return false;
  return std::all_of(taken.begin(), taken.end(), [&](size_t other) {
    const auto [earlier, later] = std::minmax(candidate, other);
    return steps[later].first - steps[earlier].second >= distance;
  });
}

std::vector<BranchPoint> PointsAt(std::span<const StepRange> steps,
                                  const std::vector<size_t>& taken,
                                  const std::vector<PointOrigin>& origins) {
  std::vector<BranchPoint> points;
  for (size_t i = 0; i < taken.size(); ++i) {
    points.push_back({steps[taken[i]].first - steps.front().second, origins[i]});
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const BranchPoint& a, const BranchPoint& b) { return a.split < b.split; });
  return points;
}

}  // namespace attnrl::tree
