// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data_set/fields.h"

namespace attnrl::tools {

// What the graders made of the accepted answers of a data set.
struct AnswerReport {
  int64_t answers = 0;
  // Compared as mere text, so that only their own spelling is right; where the first one stands.
  int64_t text_only = 0;
  std::string first_text_only = {};
  // With names.skip_bad: where the problems stand that have an answer that nothing can match, in
  // the order of the file, and their ids. A run leaves them out.
  std::vector<std::string> unmatchable = {};
  std::set<std::string> unmatchable_ids = {};
};

// Has every accepted answer of the data set at `path` read by its problem's grader, in processes of
// the kind that will grade (`binary_folder` holds attnrl-grader), or by `default_grader` where the
// problem names none. InputError at file:line for a problem with an answer that nothing can match
// (empty, unreadable), which would earn nothing for as long as the run lasts; with names.skip_bad
// it is counted instead. InputError for a grader that is none.
absl::StatusOr<AnswerReport> CheckAnswers(const std::string& path,
                                          const data_set::FieldNames& names,
                                          const std::string& default_grader,
                                          const std::string& binary_folder);

}  // namespace attnrl::tools
