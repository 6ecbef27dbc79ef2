// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/data_set/problems.h"

namespace attnrl::tools {

// What the checks of the data sets found, for people.
struct DataReport {
  // "2000 problems, prompts of 99 tokens on average, 112 at most"; where stages have sets of their
  // own, a line for each that says from which step on.
  std::string summary;
  std::string first;                  // lines: how the first problem of each is asked and graded
  int64_t longest_prompt = 0;         // of the training sets, in tokens
  std::vector<std::string> warnings;  // one line each, of what is likely a mistake
};

// Reads every record of the configuration's data sets as the scheduler will, and then compares the
// training sets with the evaluation sets. Needs the model's tokenizer, and its chat template where
// there are conversations. Then has every accepted answer read by its grader (`binary_folder` holds
// attnrl-grader). Warns where the chat template ends a turn with none of `end_tokens`. InputError
// naming file and line or key, of every training set that has an error. Memory: the tokens of one
// set.
absl::StatusOr<DataReport> CheckData(const config::Config& config,
                                     const std::vector<int32_t>& end_tokens,
                                     const std::string& binary_folder);

// How a problem is asked and graded: where it stands, `prompt` as the model reads it, line by line
// and cut in its middle where it is long, and the accepted answers. Ends with a newline.
std::string ProblemText(const data_set::Problem& problem, std::string_view prompt);

}  // namespace attnrl::tools
