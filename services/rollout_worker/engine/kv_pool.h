// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace attnrl::rollout {

// Which slots of the KV cache are taken. A slot is a contiguous region for one sequence of up to
// max_tokens tokens; it knows nothing of tensors. Allocation takes the lowest free slot, so that
// the same requests always lie in the same places and used slots stay close together. One thread.
class KvPool {
 public:
  explicit KvPool(int64_t slots);

  // The lowest free slot; nullopt when all are taken.
  std::optional<int64_t> Allocate();
  // `slot` must be taken.
  void Free(int64_t slot);

  int64_t slots() const { return static_cast<int64_t>(taken_.size()); }
  int64_t used() const { return used_; }
  int64_t free() const { return slots() - used_; }
  bool taken(int64_t slot) const { return taken_[static_cast<size_t>(slot)]; }

 private:
  std::vector<bool> taken_;
  int64_t used_ = 0;
};

}  // namespace attnrl::rollout
