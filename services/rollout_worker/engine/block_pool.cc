// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/block_pool.h"

#include <cassert>
#include <cstddef>

namespace attnrl::rollout {

BlockPool::BlockPool(int64_t blocks) : taken_(static_cast<size_t>(blocks), false) {
  free_.reserve(taken_.size());
  for (auto block = static_cast<int32_t>(blocks); block > 0; --block) free_.push_back(block - 1);
}

int32_t BlockPool::Allocate() {
  if (free_.empty()) return -1;
  const int32_t block = free_.back();
  free_.pop_back();
  taken_[static_cast<size_t>(block)] = true;
  return block;
}

void BlockPool::Free(int32_t block) {
  assert(taken_[static_cast<size_t>(block)]);
  taken_[static_cast<size_t>(block)] = false;
  free_.push_back(block);
}

}  // namespace attnrl::rollout
