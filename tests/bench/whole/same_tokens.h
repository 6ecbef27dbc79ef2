// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "services/rollout_worker/runner/runner.h"

namespace attnrl::bench {

// A small random model in float32 with heads that a GPU's kernels know, and what it samples.
struct SmallShape {
  int64_t layers = 4;
  int64_t sequences = 24;
  int64_t response = 200;
};

struct Difference {
  double sequences = 0;  // whose tokens or steps aren't the same
  double fci = 0;        // the greatest one of a step's score, over the others
  int64_t positive = 0;  // scores above zero that were compared
};

// What such a runner samples and scores on the way, against the CPU, which scores afterwards.
absl::StatusOr<Difference> CompareWithCpu(rollout::RunnerOptions options, const SmallShape& shape);

// How many of an oracle model's greedy continuations such a runner has otherwise than transformers,
// in float32. `folder` is data/oracle as tests/oracle describes it.
absl::StatusOr<double> CompareWithOracle(rollout::RunnerOptions options, const std::string& folder,
                                         const std::string& model);

}  // namespace attnrl::bench
