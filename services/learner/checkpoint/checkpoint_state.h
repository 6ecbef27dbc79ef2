// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/learner/checkpoint/checkpoint.h"

namespace attnrl::learner {

// trainer/state.json of a checkpoint (services/learner/checkpoint/README.md, "Format"). NaN is
// written as null.
std::string CheckpointStateJson(const CheckpointInfo& info);
// The inverse; DATA_LOSS says what is missing or wrong.
absl::StatusOr<CheckpointInfo> ParseCheckpointState(const std::string& text);

}  // namespace attnrl::learner
