// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/decide/cursor.h"

#include <numeric>
#include <utility>

#include "common/base/philox.h"

namespace attnrl::scheduler {

uint64_t Cursor::At(uint64_t place) { return Epoch(place / size_)[place % size_]; }

const std::vector<uint32_t>& Cursor::Epoch(uint64_t epoch) {
  if (auto found = epochs_.find(epoch); found != epochs_.end()) return found->second;
  std::vector<uint32_t> order(size_);
  std::iota(order.begin(), order.end(), 0u);
  RandomKey key;
  key.seed = seed_;
  key.purpose = kShuffleData;
  key.batch = static_cast<uint32_t>(epoch);
  key.position = set_;
  RandomStream random(key);
  for (uint64_t left = size_; left > 1; --left) {  // Fisher-Yates
    std::swap(order[left - 1], order[random.Below(left)]);
  }
  while (epochs_.size() >= 2) epochs_.erase(epochs_.begin());
  return epochs_[epoch] = std::move(order);
}

}  // namespace attnrl::scheduler
