// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/tree/criteria/points.h"

namespace attnrl::tree {

std::vector<BranchPoint> EntropyPoints(std::span<const float> entropy, int64_t count) {
  if (entropy.size() < 2) return {};
  std::vector<int64_t> order(entropy.size() - 1);
  std::iota(order.begin(), order.end(), 0);
  const auto value = [entropy](int64_t at) {
    const float nats = entropy[static_cast<size_t>(at)];
    return std::isnan(nats) ? -std::numeric_limits<float>::infinity() : nats;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&value](int64_t a, int64_t b) { return value(a) > value(b); });
  order.resize(std::min(order.size(), static_cast<size_t>(std::max<int64_t>(count, 0))));
  std::vector<BranchPoint> points;
  for (const int64_t split : order) points.push_back({split, PointOrigin::kChosen});
  std::stable_sort(points.begin(), points.end(),
                   [](const BranchPoint& a, const BranchPoint& b) { return a.split < b.split; });
  return points;
}

}  // namespace attnrl::tree
