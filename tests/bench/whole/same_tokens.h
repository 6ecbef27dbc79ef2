// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

// A greedy continuation that goes on with another token than transformers': up to there they are
// the same.
struct OtherToken {
  int64_t continuation = 0;
  int64_t position = 0;  // within it
  int32_t found = 0;
  int32_t wanted = 0;
  double gap = 0;  // by how much the CPU's logit of `wanted` is above that of `found`
};

// One for each of an oracle model's greedy continuations that such a runner has otherwise than
// transformers, in float32. `folder` is data/oracle as tests/oracle
// describes it.
absl::StatusOr<std::vector<OtherToken>> CompareWithOracle(rollout::RunnerOptions options,
                                                          const std::string& folder,
                                                          const std::string& model);

}  // namespace attnrl::bench
