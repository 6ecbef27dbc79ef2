// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::learner {

// A batch as bytes, for the other ranks of the same binary: numbers as memory has them, so that
// nothing is rounded. Not for files.
std::string BatchBytes(const scheduler::TrainingBatch& batch);
// The inverse; DATA_LOSS where the bytes end early or go on.
absl::StatusOr<scheduler::TrainingBatch> ParseBatchBytes(const std::string& bytes);

}  // namespace attnrl::learner
