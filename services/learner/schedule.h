// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::learner {

enum class PipelineMode { kOverlapped, kSequential, kOnPolicy };

// Which weights sample what (ARCHITECTURE.md "The one-step pipeline").
struct Schedule {
  PipelineMode mode = PipelineMode::kOverlapped;
  bool branching = true;  // the run has a phase of continuations
};

// Lags of a batch's tokens: b less the version that sampled them.
struct Lags {
  uint32_t initial = 0;
  std::optional<uint32_t> continuation;  // nullopt: there are no such tokens
};

// The lags that batch `batch` of a segment with base `base` (<= batch) must have.
Lags ScheduledLags(const Schedule& schedule, uint32_t base, uint32_t batch);

// OK when every token of the batch has the scheduled lag, the base isn't above the batch, and every
// sample is whole: a prompt, a response, one log-prob a token, runs that cover it.
// FAILED_PRECONDITION names the first sample that differs, what it has and what is due.
absl::Status CheckBatch(const Schedule& schedule, const scheduler::TrainingBatch& batch);

}  // namespace attnrl::learner
