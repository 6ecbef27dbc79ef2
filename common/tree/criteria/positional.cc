// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "common/tree/criteria/distance.h"
#include "common/tree/criteria/points.h"

namespace attnrl::tree {
namespace {

constexpr size_t kFirstResponse = 1;  // index of the first response step; 0 is the prompt

// Quantile with linear interpolation between the two closest ranks.
double Quantile(std::span<const float> scores, double quantile) {
  std::vector<float> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  const double rank = std::clamp(quantile, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(static_cast<double>(sorted[below]), static_cast<double>(sorted[above]),
                   rank - static_cast<double>(below));
}

// The score from which on a step qualifies; `scores` of the response's steps, at least one.
double Threshold(std::span<const float> scores, double quantile) {
  const double threshold = Quantile(scores, quantile);
  if (threshold != 0.0) return threshold;
  double smallest = 0.0;
  for (const float score : scores) {
    if (score > 0 && (smallest == 0.0 || score < smallest)) smallest = score;
  }
  return smallest;
}

}  // namespace

std::vector<BranchPoint> PositionalPoints(std::span<const StepRange> steps,
                                          std::span<const float> fci, const PointOptions& options) {
  if (steps.size() <= kFirstCandidate || options.count < 1) return {};
  const auto count = static_cast<size_t>(options.count);
  const double threshold = Threshold(fci.subspan(kFirstResponse), options.quantile);
  std::vector<size_t> taken;
  for (size_t step = kFirstCandidate; step < steps.size() && taken.size() < count; ++step) {
    if (static_cast<double>(fci[step]) >= threshold &&
        KeepsDistance(steps, step, taken, options.min_distance)) {
      taken.push_back(step);
    }
  }
  std::vector<PointOrigin> origins(taken.size(), PointOrigin::kThreshold);
  if (!options.fill) return PointsAt(steps, taken, origins);
  const std::vector<size_t> by_threshold = taken;
  for (size_t step = kFirstCandidate; step < steps.size() && taken.size() < count; ++step) {
    if (std::binary_search(by_threshold.begin(), by_threshold.end(), step)) continue;
    taken.push_back(step);
    origins.push_back(PointOrigin::kFill);
  }
  for (size_t step = kFirstCandidate; taken.size() < count; ++step) {
    if (step == steps.size()) step = kFirstCandidate;
    taken.push_back(step);
    origins.push_back(PointOrigin::kDuplicate);
  }
  return PointsAt(steps, taken, origins);
}

}  // namespace attnrl::tree
