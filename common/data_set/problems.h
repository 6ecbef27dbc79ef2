// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data_set/answers.h"
#include "common/data_set/fields.h"
#include "common/data_set/question.h"

namespace attnrl::data_set {

// One problem of a data set.
struct Problem {
  std::string id = {};  // unique in the file
  Question question = {};
  Answers answers = {};
  std::string grader = {};  // field `grader`: how answers are compared; empty: the default
  int64_t line = 0;         // that its record begins on, from 1
  std::string where = {};   // "file:line", for errors about it
};

// Reads a data set, "-" or a file of JSON Lines or of one JSON list, in its order. InputError at
// file:line for the first record that is wrong, at the file for one that can't be read or has no
// problem; an error of `use` ends the reading. With `names.skip_bad` a record that is wrong, or for
// which `use` returns an InputError, is left out and counted in `*skipped` (may be null). Memory:
// every id, and one record, or a whole list.
absl::Status ReadProblems(const std::string& path, const FieldNames& names,
                          const std::function<absl::Status(Problem)>& use,
                          int64_t* skipped = nullptr);

// The first problem alone, or the first whose id isn't in `but`. The same errors, about it and
// those before it.
absl::StatusOr<Problem> FirstProblem(const std::string& path, const FieldNames& names,
                                     const std::set<std::string>& but = {});

}  // namespace attnrl::data_set
