// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "common/device/device.h"
#include "services/rollout_worker/runner/runner.h"

namespace attnrl::rollout {

// What a worker would use its memory for; named as in the configuration.
struct MemoryWish {
  int64_t slots = 64;
  int64_t max_tokens = 0;         // prompt and response of a sequence
  int64_t kv_cache_bytes = 0;     // 0: decided here
  int64_t resident_versions = 2;  // at least 1
  int64_t workers = 1;            // that share the memory of the host
};

struct MemoryChoice {
  int64_t blocks = 0;   // of the KV cache
  size_t versions = 0;  // of the weights, held at once
};

// How large the cache of such a runner is, and how many versions of the weights are held: as many
// as are wished, or as leave room for the cache beside one more that is fetched, on the host its
// bytes on their way, and the workspace of a step. InputError by rollout.kv_cache_bytes where one
// version leaves no room.
absl::StatusOr<MemoryChoice> ChooseMemory(const MemoryWish& wish, const RunnerOptions& runner,
                                          const model::ModelConfig& config,
                                          const device::DeviceMemory& memory);

}  // namespace attnrl::rollout
