// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/rpc/shutdown.h"

namespace attnrl::learner {

struct ServeOptions {
  std::string config_file;
  std::vector<std::string> sets;  // "a.b=c"
  std::string run_dir;            // holds checkpoints/, weights/ and logs/
  std::string name = "learner";
};

// Runs the learner: loads or makes its state, serves its weights, trains. After the run's last
// batch it goes on serving until `shutdown`. On shutdown it finishes the batch in training if that
// takes seconds, writes a checkpoint, and returns. InputError where the configuration, the model or
// an address is at fault; RESOURCE_EXHAUSTED when the disk is full.
absl::Status Serve(const ServeOptions& options, const rpc::ShutdownSignal& shutdown);

}  // namespace attnrl::learner
