// SPDX-License-Identifier: Apache-2.0
#include "common/tree/branch_points.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace attnrl::tree {
namespace {

void SortByPosition(std::vector<BranchPoint>* points) {
  std::stable_sort(points->begin(), points->end(),
                   [](const BranchPoint& a, const BranchPoint& b) { return a.split < b.split; });
}

}  // namespace

std::string_view PointOriginName(PointOrigin origin) {
  switch (origin) {
    case PointOrigin::kThreshold:
      return "threshold";
    case PointOrigin::kFill:
      return "fill";
    case PointOrigin::kDuplicate:
      return "duplicate";
    case PointOrigin::kChosen:
      return "chosen";
  }
  return "";
}

std::vector<BranchPoint> EarliestPoints(std::span<const StepRange> steps, int64_t count) {
  std::vector<BranchPoint> points;
  if (steps.size() < 3) return points;  // the prompt and one response step at most
  const std::span<const StepRange> candidates = steps.subspan(2);
  const int64_t prompt_tokens = steps.front().second;
  for (int64_t i = 0; i < count; ++i) {
    const StepRange& step = candidates[static_cast<size_t>(i) % candidates.size()];
    points.push_back({step.first - prompt_tokens, PointOrigin::kChosen});
  }
  SortByPosition(&points);
  return points;
}

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
  SortByPosition(&points);
  return points;
}

}  // namespace attnrl::tree
