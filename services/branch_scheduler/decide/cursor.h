// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace attnrl::scheduler {

// The order of a data set through a run: epochs, each shuffled by Philox from (seed, set, epoch).
// The problem at a place of the endless sequence is a pure function of (seed, set, place), so the
// run's whole data state is one number; a set smaller than a batch wraps into its next epoch. Keeps
// the permutations of the last two epochs it was asked for. Not thread-safe.
class Cursor {
 public:
  // size > 0. `set`: which one of the run's, in the order of their use.
  Cursor(uint64_t seed, uint64_t size, uint32_t set = 0) : seed_(seed), size_(size), set_(set) {}

  // Index in the data set of the problem at `place`, counted from 0 where the run comes to the set.
  uint64_t At(uint64_t place);

 private:
  const std::vector<uint32_t>& Epoch(uint64_t epoch);

  const uint64_t seed_;
  const uint64_t size_;
  const uint32_t set_;
  std::map<uint64_t, std::vector<uint32_t>> epochs_;
};

}  // namespace attnrl::scheduler
