// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "common/tree/criteria/draw.h"
#include "common/tree/criteria/points.h"

namespace attnrl::tree {

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
