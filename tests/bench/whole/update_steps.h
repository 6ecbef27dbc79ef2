// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "services/learner/train/trainer.h"
#include "tests/bench/whole/whole_table.h"

namespace attnrl::bench {

// One tree: a response behind a prompt, with two continuations at a quarter and two at half of it,
// which make it as long again.
struct TreeShape {
  int64_t prompt = 1024;
  int64_t response = 8192;
  int64_t max_tokens_per_pass = 16384;
};

// The learner's update on that tree, from the batch to the next weights on the device: the shortest
// of some after a first one. With Prefixes::kEach every leaf is computed by itself. FLOPs are those
// that the learner itself counts; tokens are those of the leaves, each counted in full.
absl::StatusOr<StepCost> TimeUpdate(const model::ModelConfig& config, const model::Tensors& weights,
                                    learner::Prefixes prefixes, const TreeShape& shape);

}  // namespace attnrl::bench
