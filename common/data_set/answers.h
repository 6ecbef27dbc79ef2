// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data_set/fields.h"
#include "common/storage/jsonl.h"

namespace attnrl::data_set {

// The accepted answers of a problem, any one of which suffices.
struct Answers {
  std::vector<std::string> texts = {};  // at least one
  std::string field = {};               // that they were taken from, for people
};

// The answers of a record: the configured field, or the first that isn't empty of `answers`,
// `answer`, `final_answer` and `reward_model.ground_truth`: a text, a number or a list of them. A
// text alone that holds a \boxed{} or ends with `#### 72` stands for its final answer
// (common/data_set/worked.h); one of a list is taken as it is, and a number as it is written. Where
// none of these fields is there, the final answer of a worked `solution`. InputError at file:line.
absl::StatusOr<Answers> AnswersOf(const storage::JsonLine& line, const FieldNames& names);

}  // namespace attnrl::data_set
