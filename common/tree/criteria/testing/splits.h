// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/tree/criteria/criterion.h"

// For tests of criteria.
namespace attnrl::tree {

inline std::vector<int64_t> Splits(const std::vector<BranchPoint>& points) {
  std::vector<int64_t> splits;
  for (const BranchPoint& point : points) splits.push_back(point.split);
  return splits;
}

// A prompt of 10 tokens, response steps that start at 0, 4, 9 and 12 of the response.
inline const std::vector<StepRange> kSteps = {{0, 10}, {10, 14}, {14, 19}, {19, 22}, {22, 30}};

// A prompt of 10 tokens and response steps of 10 tokens each.
inline std::vector<StepRange> TenTokenSteps(int64_t response_steps) {
  std::vector<StepRange> steps;
  for (int64_t i = 0; i <= response_steps; ++i) steps.emplace_back(10 * i, 10 * i + 10);
  return steps;
}

inline RandomKey KeyOfNode(uint32_t node) {
  return {.seed = 5, .purpose = kBranch, .batch = 2, .position = 3, .node = node};
}

}  // namespace attnrl::tree
