// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <unordered_map>

#include "services/rollout_worker/engine/sequence.h"

namespace attnrl::rollout {

// Sequences that wait to run, a line for each version. In a line: those that ran before, then those
// with the most tokens to sample (what ends last should begin first), then in order of arrival.
// Nothing that is done here grows with what waits but by its logarithm. One thread.
class WaitingLine {
 public:
  void Push(std::unique_ptr<Sequence> sequence);
  // Null where no such sequence waits.
  std::unique_ptr<Sequence> Remove(uint64_t id);
  // The next one of a version that waits here.
  const Sequence& Front(uint32_t version) const { return *lines_.at(version).begin()->second; }
  std::unique_ptr<Sequence> PopFront(uint32_t version);

  size_t size() const { return places_.size(); }
  bool empty() const { return places_.empty(); }
  bool contains(uint64_t id) const { return places_.contains(id); }

  // Calls visit(version) for the versions that wait, ascending, until it returns true.
  template <typename Visit>
  void ForVersions(const Visit& visit) const {
    for (const auto& [version, line] : lines_) {
      if (visit(version)) return;
    }
  }

 private:
  // Ran before (0) or not (1), tokens to sample (negative), arrival.
  using Key = std::tuple<int, int64_t, uint64_t>;
  struct Place {
    uint32_t version = 0;
    Key key = {};
  };

  std::unique_ptr<Sequence> Take(uint64_t id, const Place& place);

  std::map<uint32_t, std::map<Key, std::unique_ptr<Sequence>>> lines_;
  std::unordered_map<uint64_t, Place> places_;  // by request
};

}  // namespace attnrl::rollout
