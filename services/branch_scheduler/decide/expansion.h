// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/tree/adaptive_sampling.h"
#include "services/branch_scheduler/data_set.h"
#include "services/branch_scheduler/options.h"
#include "services/branch_scheduler/problem.h"

namespace attnrl::scheduler {

// Every response of the problem is correct; its initial responses are graded.
bool Solved(const Problem& problem);

// The score m of the attention filter, for a problem whose initial responses have scores.
double SolvedScore(const Problem& problem);

// Fills in the steps of every response of a problem whose initial responses are graded, and the
// branch points of those that are expanded; or sets `filtered`. An ungradable problem gets no
// points: it is dropped anyway. `mean` is that over all solved problems up to and with this batch;
// it is read only where the problem is solved and filter_solved is on. Pure but for `problem`:
// random choices are keyed by (run.seed, batch, position, response).
void Expand(const SchedulerOptions& options, const TextTools& text, const DataSet& data,
            uint32_t batch, const tree::RunningMean& mean, Problem* problem);

}  // namespace attnrl::scheduler
