// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/security/security.h"
#include "services/branch_scheduler/client/admin.h"

namespace attnrl::tools {

// The branch-scheduler behind the value of --scheduler: an address (unix:/path, host:port) or the
// directory of a run that `attnrl train` runs now. InputError where it is neither, and where TCP
// needs TLS or its files are of no use. Connects lazily.
absl::StatusOr<std::unique_ptr<scheduler::Admin>> FindScheduler(const std::string& address_or_run,
                                                                const rpc::Security& security = {});

}  // namespace attnrl::tools
