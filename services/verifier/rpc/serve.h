// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "common/config/config.h"
#include "common/rpc/shutdown.h"
#include "common/service/service_main.h"

namespace attnrl::verifier {

// Runs the service until `shutdown`: graders first, then metrics, then the port, which tells health
// checks "serving" only then. Returns after calls under way have ended. InputError where the
// configuration or an address is at fault.
absl::Status Serve(const config::Config& config, const service::Flags& flags,
                   const rpc::ShutdownSignal& shutdown);

}  // namespace attnrl::verifier
