// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "services/branch_scheduler/data_set.h"
#include "services/branch_scheduler/options.h"
#include "services/branch_scheduler/problem.h"

namespace attnrl::scheduler {

// Fills in the steps of every response of a problem whose initial responses are sampled and graded,
// and the branch points of those that are expanded: every response of at least two steps, unless
// the problem is ungradable (then it is dropped anyway). Pure but for `problem`.
void Expand(const SchedulerOptions& options, const TextTools& text, const DataSet& data,
            Problem* problem);

}  // namespace attnrl::scheduler
