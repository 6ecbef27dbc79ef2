// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace attnrl::scheduler {

// The order of a data set through a run: epochs, each shuffled by Philox from (seed, epoch). The
// problem at a place of the endless sequence is a pure function of (seed, place), so the run's
// whole data state is one number; a set smaller than a batch wraps into its next epoch. Keeps the
// permutations of the last two epochs it was asked for. Not thread-safe.
class Cursor {
 public:
  // size > 0.
  Cursor(uint64_t seed, uint64_t size) : seed_(seed), size_(size) {}

  // Index in the data set of the problem at `place`, counted over the whole run from 0.
  uint64_t At(uint64_t place);

 private:
  const std::vector<uint32_t>& Epoch(uint64_t epoch);

  const uint64_t seed_;
  const uint64_t size_;
  std::map<uint64_t, std::vector<uint32_t>> epochs_;
};

}  // namespace attnrl::scheduler
