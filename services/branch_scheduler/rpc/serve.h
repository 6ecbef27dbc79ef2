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

}  // namespace attnrl::scheduler
