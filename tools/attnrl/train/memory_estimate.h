// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/config/config.h"
#include "common/model/files/config.h"

namespace attnrl::tools {

// Resident memory that the services of a run will need, in bytes, from shapes alone. An estimate
// for people and for refusing what can't fit: within about a factor of two.
struct MemoryEstimate {
  int64_t worker_bytes = 0;  // of one worker
  int64_t learner_bytes = 0;
  int64_t scheduler_bytes = 0;
  int64_t verifier_bytes = 0;
  int64_t total_bytes = 0;
};

// `dtype_bytes`: of one weight as the workers hold it. `kv_bytes`: of a worker's KV cache.
MemoryEstimate EstimateMemory(const config::Config& config, const model::ModelConfig& shape,
                              int64_t dtype_bytes, int64_t kv_bytes);

}  // namespace attnrl::tools
