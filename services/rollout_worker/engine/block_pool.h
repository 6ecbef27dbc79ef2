// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::rollout {

// Which blocks of the KV cache are taken (attention::kBlockTokens tokens each). One thread.
class BlockPool {
 public:
  explicit BlockPool(int64_t blocks);

  // A free block, the one that was freed last; -1 when all are taken.
  int32_t Allocate();
  // `block` must be taken.
  void Free(int32_t block);

  int64_t blocks() const { return static_cast<int64_t>(taken_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int64_t used() const { return blocks() - free(); }

 private:
  std::vector<int32_t> free_;
  std::vector<bool> taken_;
};

}  // namespace attnrl::rollout
