// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "common/pipeline/schedule.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::learner {

// OK when every token of the batch has the scheduled lag, the base isn't above the batch, and every
// sample is whole: a prompt, a response, one log-prob a token, runs that cover it.
// FAILED_PRECONDITION names the first sample that differs, what it has and what is due.
absl::Status CheckBatch(const pipeline::Schedule& schedule, const scheduler::TrainingBatch& batch);

}  // namespace attnrl::learner
