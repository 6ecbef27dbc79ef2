// SPDX-License-Identifier: Apache-2.0
// Choices among steps that have a score: `positional` and `top`.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/tree/branch_points.h"

namespace attnrl::tree {
namespace {

constexpr size_t kFirstResponse = 1;   // index of the first response step; 0 is the prompt
constexpr size_t kFirstCandidate = 2;  // the first response step is never chosen

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

// True where `candidate` lies far enough from the start of the sequence and from each taken step.
// Taken steps may lie on either side of it.
bool KeepsDistance(std::span<const StepRange> steps, size_t candidate,
                   const std::vector<size_t>& taken, int64_t distance) {
  if (steps[candidate].first < distance) return false;
  return std::all_of(taken.begin(), taken.end(), [&](size_t other) {
    const auto [earlier, later] = std::minmax(candidate, other);
    return steps[later].first - steps[earlier].second >= distance;
  });
}

// Points at the starts of `taken`, in ascending order; origins stay with their points.
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

}  // namespace

std::vector<BranchPoint> PositionalPoints(std::span<const StepRange> steps,
                                          std::span<const float> fci,
                                          const SelectionOptions& options) {
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

std::vector<BranchPoint> TopPoints(std::span<const StepRange> steps, std::span<const float> fci,
                                   const SelectionOptions& options, bool spaced) {
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
    if (!spaced || KeepsDistance(steps, step, taken, options.min_distance)) taken.push_back(step);
  }
  return PointsAt(steps, taken, std::vector<PointOrigin>(taken.size(), PointOrigin::kChosen));
}

}  // namespace attnrl::tree
