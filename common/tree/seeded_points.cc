// SPDX-License-Identifier: Apache-2.0
// Choices by seed: `random` and `fixed_length`.
#include <algorithm>
#include <utility>

#include "common/tree/branch_points.h"

namespace attnrl::tree {
namespace {

// `count` of `starts` by seed; each is drawn once before any is drawn again.
std::vector<BranchPoint> Draw(const std::vector<int64_t>& starts, int64_t count,
                              const RandomKey& key) {
  std::vector<BranchPoint> points;
  if (starts.empty()) return points;
  RandomStream stream(key);
  std::vector<int64_t> deck;
  while (static_cast<int64_t>(points.size()) < count) {
    if (deck.empty()) deck = starts;
    std::swap(deck[stream.Below(deck.size())], deck.back());
    points.push_back({deck.back(), PointOrigin::kChosen});
    deck.pop_back();
  }
  std::sort(points.begin(), points.end(),
            [](const BranchPoint& a, const BranchPoint& b) { return a.split < b.split; });
  return points;
}

}  // namespace

std::vector<BranchPoint> RandomPoints(std::span<const StepRange> steps, int64_t count,
                                      const RandomKey& key) {
  std::vector<int64_t> starts;
  for (size_t step = 2; step < steps.size(); ++step) {  // 0 is the prompt, 1 the first of all
    starts.push_back(steps[step].first - steps.front().second);
  }
  return Draw(starts, count, key);
}

std::vector<BranchPoint> FixedLengthPoints(int64_t response_tokens, int64_t count,
                                           const RandomKey& key) {
  constexpr int64_t kBlocksAPoint = 4;
  if (count < 1) return {};
  const int64_t blocks = std::min(kBlocksAPoint * count, response_tokens);
  std::vector<int64_t> starts;
  for (int64_t block = 1; block < blocks; ++block) {
    starts.push_back(block * response_tokens / blocks);
  }
  return Draw(starts, count, key);
}

}  // namespace attnrl::tree
