// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::tools {

// Ids to text, special tokens kept.
using DecodeIds = std::function<std::string(const std::vector<int32_t>&)>;

// One line of trees/batch-N.jsonl.zst (one problem) as text for people: the prompt, then each
// response with its version, worker, verdict, reward, advantages and branch points (with their
// origins and the FCI of their steps), and below it its continuations. InvalidArgument where the
// record isn't of that form.
absl::StatusOr<std::string> ProblemText(const nlohmann::json& problem, const DecodeIds& decode);

}  // namespace attnrl::tools
