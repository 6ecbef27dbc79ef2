// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "common/config/config.h"
#include "common/rpc/shutdown.h"
#include "common/service/service_main.h"

namespace attnrl::scheduler {

// Runs the service until `shutdown`, or until it can't write any more: data set and database first,
// then the port, which tells health checks "serving" only then. InputError where configuration,
// data or an address is at fault; RESOURCE_EXHAUSTED when a disk is full: the run goes on from its
// database once there is room.
absl::Status Serve(const config::Config& config, const service::Flags& flags,
                   const rpc::ShutdownSignal& shutdown);

// What the process returns for what ended it, before or after it served: OK for a wait that was
// given up because it was asked to stop; INVALID_ARGUMENT where another process has taken the run
// over, since to start again would not help; else `status`.
absl::Status EndOf(const absl::Status& status, bool asked_to_stop);

}  // namespace attnrl::scheduler
