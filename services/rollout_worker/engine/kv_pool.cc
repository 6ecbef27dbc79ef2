// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/kv_pool.h"

#include <cassert>
#include <cstddef>

namespace attnrl::rollout {

KvPool::KvPool(int64_t slots) : taken_(static_cast<size_t>(slots), false) {}

std::optional<int64_t> KvPool::Allocate() {
  for (size_t slot = 0; slot < taken_.size(); ++slot) {
    if (taken_[slot]) continue;
    taken_[slot] = true;
    ++used_;
    return static_cast<int64_t>(slot);
  }
  return std::nullopt;
}

void KvPool::Free(int64_t slot) {
  assert(slot >= 0 && slot < slots() && taken(slot));
  taken_[static_cast<size_t>(slot)] = false;
  --used_;
}

}  // namespace attnrl::rollout
