// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace attnrl::tree {

// Where an expanded response is regenerated from. One function a criterion; each is pure and
// returns the points in ascending order of `split`. A response without a point is not expanded.

// How a point came about, as trees/ records it: the first three belong to the walk over scored
// steps, every other choice writes kChosen.
enum class PointOrigin { kThreshold, kFill, kDuplicate, kChosen };
std::string_view PointOriginName(PointOrigin origin);  // "threshold", "fill", ...

struct BranchPoint {
  int64_t split = 0;  // token index within the response; regenerated from there on
  PointOrigin origin = PointOrigin::kChosen;

  bool operator==(const BranchPoint& other) const = default;
};

// Token positions [first, second) over prompt + response; range 0 is the prompt.
using StepRange = std::pair<int64_t, int64_t>;

// `earliest`: the starts of the second, third, ... response step; from the front again where there
// are fewer than `count`, so that there are `count` points. None for a response of one step.
std::vector<BranchPoint> EarliestPoints(std::span<const StepRange> steps, int64_t count);

// `entropy`: the `count` tokens of highest entropy, the last token excluded; ties go to the earlier
// token. `entropy` in nats, one a response token. Fewer points where there are fewer tokens.
std::vector<BranchPoint> EntropyPoints(std::span<const float> entropy, int64_t count);

}  // namespace attnrl::tree
