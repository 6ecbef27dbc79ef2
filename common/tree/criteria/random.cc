// SPDX-License-Identifier: Apache-2.0
#include "common/tree/criteria/draw.h"
#include "common/tree/criteria/points.h"

namespace attnrl::tree {

std::vector<BranchPoint> RandomPoints(std::span<const StepRange> steps, int64_t count,
                                      const RandomKey& key) {
  std::vector<int64_t> starts;
  for (size_t step = 2; step < steps.size(); ++step) {  // 0 is the prompt, 1 the first of all
    starts.push_back(steps[step].first - steps.front().second);
  }
  return Draw(starts, count, key);
}

}  // namespace attnrl::tree
