// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace attnrl::tools {

// The flags of `attnrl train`.
struct TrainOptions {
  std::string config;
  std::vector<std::string> sets;  // "a.b=c"
  std::string run_directory;      // empty: runs/<config>-<n>
  bool resume = false;
  std::optional<int64_t> workers;
};

// Runs a training from the first check to the summary: checks everything before it creates
// anything, starts the four services as children, keeps them alive, shows the progress, and ends
// them. Blocks until the run is over. Installs signal handlers: one call a process, on the main
// thread. Errors: InputError for what the user can set right; Cancelled after Ctrl-C, with the
// command that goes on; everything else is a failed run, with the command that goes on where there
// is one.
absl::Status Train(const TrainOptions& options);

}  // namespace attnrl::tools
