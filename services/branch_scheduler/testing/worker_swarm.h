// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attnrl::scheduler::testing {

// Many workers in one process, each with a connection and a stream of its own and none with a
// thread: what a scheduler sees of a large run. A worker answers each lease after a time to think
// with a response of a long-tailed length that means nothing. For benchmarks.
class WorkerSwarm {
 public:
  struct Options {
    std::string address;  // of the scheduler
    uint32_t workers = 1;
    uint32_t credits = 1;       // of each
    absl::Duration think = {};  // mean; exponentially distributed
    uint32_t tokens = 300;      // mean of a response; log-normally distributed
  };
  struct Figures {
    // From sending a result to the worker's next lease, and to the acknowledgement.
    std::vector<double> lease_seconds, ack_seconds;
    uint64_t refused = 0;
    uint64_t bytes = 0;  // of the results that were sent
  };

  static absl::StatusOr<std::unique_ptr<WorkerSwarm>> Start(const Options& options);
  virtual ~WorkerSwarm() = default;

  // Workers whose registration was answered and whose stream hasn't ended.
  virtual uint32_t connected() const = 0;
  // Since the call before. Any thread.
  virtual Figures Take() = 0;
};

}  // namespace attnrl::scheduler::testing
