// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "common/model/transformer.h"
#include "services/rollout_worker/runner/runner.h"
#include "tests/bench/whole/whole_table.h"

namespace attnrl::bench {

// Sequences in groups, of which each shares a prompt.
struct DecodeShape {
  int64_t groups = 16;
  int64_t samples = 16;  // of a prompt
  int64_t prompt = 1024;
  int64_t response = 1024;
  int64_t timed = 64;  // steps, the last ones
};

// Samples them all at once with the worker's engine and runner. `options` says how; the cache's
// size is chosen here. The cost is that of a step among those timed: the median time, and the
// bytes of weights and of keys and values, each once that several rows read together.
absl::StatusOr<StepCost> TimeDecoding(rollout::RunnerOptions options,
                                      const std::shared_ptr<const model::Transformer>& model,
                                      const DecodeShape& shape);

}  // namespace attnrl::bench
