// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"

namespace attnrl::tools {

// The path of trees/batch-N.jsonl.zst, or of the plain file without the ending. InputError where
// the directory holds no run, or the run no such batch: it says which batches there are.
absl::StatusOr<std::string> BatchFile(const std::string& run_directory, int64_t batch);

// The tokenizer of the model folder `model`; where that is empty, of a run: each of its checkpoints
// has it, and the first that can be read is taken. InputError where none can.
absl::StatusOr<text::Tokenizer> TokenizerOf(const std::string& run_directory,
                                            const std::string& model);

// The record of that problem, the first where the batch has it more than once. InputError where
// there is none (it names the nearest ids), or where a line before it is no record.
absl::StatusOr<nlohmann::json> FindProblem(const std::string& path, const std::string& problem_id);

// The error for an id that isn't among `ids`: names the three that are most like it, by the letters
// that differ.
absl::Status NoSuchProblem(const std::string& path, const std::string& problem_id,
                           std::vector<std::string> ids);

}  // namespace attnrl::tools
