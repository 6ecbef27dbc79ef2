// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/rpc/shutdown.h"

namespace attnrl::scheduler {

struct ServeOptions {
  std::string config_file;
  std::vector<std::string> sets;  // "a.b=c"
  std::string run_dir;            // records, trees/, database, logs/
  std::string name = "branch-scheduler";
};

// Runs the service until `shutdown`, or until it can't write any more: data set and database first,
// then the port, which tells health checks "serving" only then. InputError where configuration,
// data or an address is at fault; RESOURCE_EXHAUSTED when a disk is full: the run goes on from its
// database once there is room.
absl::Status Serve(const ServeOptions& options, const rpc::ShutdownSignal& shutdown);

}  // namespace attnrl::scheduler
