// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::scheduler {

struct DataProblem {
  std::string id;
  std::vector<int32_t> prompt_ids;
  std::vector<std::string> answers;  // accepted ones; never leave scheduler and verifier
};

struct DataSet {
  std::vector<DataProblem> problems;
  std::string digest;  // hex SHA-256 of the file
};

// A prompt as the data set has it: messages of a chat, (role, content); a plain text has one
// message with the role "".
using PromptMessages = std::vector<std::pair<std::string, std::string>>;
// Token ids of a prompt, suffix and chat template applied.
using PromptEncoder =
    std::function<absl::StatusOr<std::vector<int32_t>>(const PromptMessages& messages)>;

// Reads and tokenises a whole data set (services/branch_scheduler/README.md, "Data sets"): JSON
// Lines with `id` (a string or a number, unique), `prompt` or `messages`, `answers` (texts, at
// least one). InputError at file:line for the first record that is wrong or whose prompt has more
// than `max_prompt_tokens` tokens, and for a file without records; `key` names the setting
// ("data.train") of a file that can't be read. Where a record has both, `messages` count. Memory:
// the tokens of all prompts.
absl::StatusOr<DataSet> LoadDataSet(const std::string& key, const std::string& path,
                                    uint32_t max_prompt_tokens, const PromptEncoder& encode);

}  // namespace attnrl::scheduler
