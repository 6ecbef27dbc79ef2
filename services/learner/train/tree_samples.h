// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::learner {

// Rebuilds the training batch of a record file of a run, RUN_DIR/trees/batch-N.jsonl.zst
// (services/branch_scheduler/records/README.md): every leaf that trained, in the order of
// BatchSource, with its behaviour log-probs, advantages and versions. The base of the segment isn't
// in the file: it is 0. InputError names file and line.
absl::StatusOr<scheduler::TrainingBatch> ReadTreeSamples(const std::string& path);

// Writes a batch such that ReadTreeSamples gives the same samples back, but for `node` and the
// share of a prefix that other leaves have: every problem one line, every leaf behind its response.
// What a batch holds is finite.
absl::Status WriteTreeSamples(const std::string& path, const scheduler::TrainingBatch& batch);

}  // namespace attnrl::learner
