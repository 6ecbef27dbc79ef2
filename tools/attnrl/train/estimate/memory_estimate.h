// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/config/config.h"
#include "tools/attnrl/train/estimate/run_shape.h"

namespace attnrl::tools {

// Memory of the host that the services of a run will need, in bytes, from shapes alone: of a role
// on a GPU what it keeps beside that. An estimate for people and for refusing what can't fit:
// within about a factor of two.
struct MemoryEstimate {
  int64_t worker_bytes = 0;  // of one worker
  int64_t learner_bytes = 0;
  int64_t rank_bytes = 0;  // of each other rank of the learner
  int64_t scheduler_bytes = 0;
  int64_t verifier_bytes = 0;
  int64_t total_bytes = 0;
};

// `kv_bytes`: of a worker's KV cache on the CPU.
MemoryEstimate EstimateMemory(const config::Config& config, const RunShape& shape,
                              int64_t kv_bytes);

// INVALID_ARGUMENT by the keys that would have to change where the services on one machine of
// `machine_bytes` bytes (0: not known) need more.
absl::Status CheckHostMemory(const config::Config& config, const MemoryEstimate& memory,
                             int64_t machine_bytes);

// Parameters that have masters, gradients and moments: all, or those of the adapters.
int64_t TrainedParameters(const config::Config& config, const model::ModelConfig& shape);

// What DeviceEstimate calls the processes of the two roles.
inline constexpr char kWorkerProcess[] = "worker";
inline constexpr char kLearnerProcess[] = "learner rank";

// What the processes of one role keep on their devices, of which each has one of its own.
struct DeviceEstimate {
  struct Part {
    std::string what;  // "KV cache, 1.50 M tokens"
    int64_t bytes = 0;
  };

  std::string process;  // one of these names
  int64_t processes = 0;
  std::vector<Part> parts;

  int64_t total() const;
};

// A worker of a run, and the fullest rank of its learner, on a device of `device_bytes` bytes (0:
// not known; layers are computed again then, if the configuration leaves the choice).
DeviceEstimate EstimateWorkerDevice(const config::Config& config, const RunShape& shape,
                                    int64_t kv_bytes);
DeviceEstimate EstimateLearnerDevice(const config::Config& config, const RunShape& shape,
                                     int64_t device_bytes);

}  // namespace attnrl::tools
