// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/pipeline/schedule.h"

namespace attnrl::tools {

// What a run has measured over its newest steps. Seconds are means a step.
struct Measured {
  int64_t first_step = 0, last_step = 0;  // from 0, both counted
  pipeline::PipelineMode mode = pipeline::PipelineMode::kOverlapped;
  int64_t workers = 0;  // that sampled in these steps
  int64_t ranks = 1;    // of the learner
  double step = 0;
  double sampling = 0;  // in which a worker, on average, had a sample under way
  double longest = 0;   // the longest piece of work of a batch
  double train = 0;     // forward passes and optimizer steps
  double wait = 0;      // the learner waited for a batch
  double tokens = 0;    // sampled for a step
};

// InputError, naming the file: no run, or fewer than four steps that can be counted.
absl::StatusOr<Measured> ReadMeasured(const std::string& run_directory);

}  // namespace attnrl::tools
