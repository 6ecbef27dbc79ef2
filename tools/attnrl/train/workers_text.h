// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "services/branch_scheduler/types.h"

namespace attnrl::tools {

// The workers of a run as a table for people, a line each below the names of the columns; one line
// where there are none.
std::string WorkersTable(const std::vector<scheduler::WorkerStatus>& workers);

// The same as one line of JSON: {"workers":[{"worker","version","leases","capacity","results",
// "generated_tokens","last_seen_seconds","parked"},..]}.
std::string WorkersJson(const std::vector<scheduler::WorkerStatus>& workers);

}  // namespace attnrl::tools
