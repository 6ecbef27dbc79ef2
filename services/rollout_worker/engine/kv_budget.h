// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace attnrl::rollout {

// Blocks that `slots` sequences of up to `max_tokens` tokens fill at most, alone in the cache: a
// prompt, a response and what continues it each begin blocks of their own.
int64_t KvBlocks(int64_t slots, int64_t max_tokens);

// What the size of a KV cache is decided by.
struct KvBudget {
  int64_t slots = 64;       // sequences decoded at once
  int64_t max_tokens = 0;   // prompt and response of a sequence
  int64_t block_bytes = 0;  // of one block, keys and values of all layers
  int64_t bytes = 0;        // rollout.kv_cache_bytes; 0: decided here
  // Of the container (common/base/machine.h); 0: not known, or another device's memory.
  int64_t memory_limit = 0;
  int64_t available = 0;
  int64_t workers = 1;  // that share this memory
  // What each will take beside its cache, for weights and the workspace of a step. 0: not known.
  int64_t reserved = 0;
  bool host =
      false;  // the memory is the container's, and not that of a GPU, where `reserved` is set
};

// Blocks of the cache: as many as `bytes` are; or as many as the slots can use, but at most half of
// the memory limit and three quarters of what is available, divided by the workers, and what
// `reserved` leaves of a worker's part; of a GPU nine tenths of what that leaves of it. Where this
// has no room for one sequence, or more is asked for than is there: INVALID_ARGUMENT, naming
// rollout.kv_cache_bytes; a cache that can't be had would end the worker in the middle of a run.
absl::StatusOr<int64_t> ChooseKvBlocks(const KvBudget& budget);

}  // namespace attnrl::rollout
