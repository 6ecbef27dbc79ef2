// SPDX-License-Identifier: Apache-2.0
#include "common/tree/criteria/draw.h"

#include <algorithm>
#include <utility>

namespace attnrl::tree {

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

}  // namespace attnrl::tree
