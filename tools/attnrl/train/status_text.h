// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "services/branch_scheduler/types.h"

namespace attnrl::tools {

// A run's status as a few lines for people. `resume` is the command that ends a pause.
std::string StatusText(const scheduler::RunStatus& status, const std::string& resume);

// The same as one line of JSON: {"state","reason","steps_done","steps_total","newest_version",
// "open_items","active_leases","workers":[..],"batches":[..],"last_metrics":{..}|null,"epoch"}.
std::string StatusJson(const scheduler::RunStatus& status);

}  // namespace attnrl::tools
