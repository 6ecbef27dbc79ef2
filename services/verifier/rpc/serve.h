// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/rpc/shutdown.h"

namespace attnrl::verifier {

struct ServeOptions {
  std::string config_file;
  std::vector<std::string> sets;  // "a.b=c"
  // Logs and the metrics address go to RUN_DIR/logs; empty: warnings to stderr, nothing written.
  std::string run_dir;
  std::string name = "verifier";
};

// Runs the service until `shutdown`: graders first, then metrics, then the port, which tells health
// checks "serving" only then. Returns after calls under way have ended. InputError where the
// configuration or an address is at fault.
absl::Status Serve(const ServeOptions& options, const rpc::ShutdownSignal& shutdown);

}  // namespace attnrl::verifier
