// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/overlap.h"

#include <unordered_map>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "common/data_set/question.h"
#include "common/storage/jsonl.h"

namespace attnrl::data_set {

absl::StatusOr<Overlap> FindOverlap(const std::string& training, const FieldNames& training_names,
                                    const std::vector<std::string>& evaluation,
                                    const FieldNames& evaluation_names) {
  std::unordered_map<std::string, std::string> where_of_text;
  for (const std::string& path : evaluation) {
    ATTNRL_RETURN_IF_ERROR(storage::ReadRecords(
        path, evaluation_names.skip_bad, nullptr,
        [&](const storage::JsonLine& line) -> absl::Status {
          ATTNRL_ASSIGN_OR_RETURN(const Question question, QuestionOf(line, evaluation_names));
          where_of_text.emplace(TextOf(question), line.where);
          return absl::OkStatus();
        }));
  }
  Overlap overlap;
  ATTNRL_RETURN_IF_ERROR(storage::ReadRecords(
      training, training_names.skip_bad, nullptr,
      [&](const storage::JsonLine& line) -> absl::Status {
        ATTNRL_ASSIGN_OR_RETURN(const Question question, QuestionOf(line, training_names));
        const auto found = where_of_text.find(TextOf(question));
        if (found == where_of_text.end()) return absl::OkStatus();
        if (overlap.problems++ == 0) {
          overlap.training = line.where;
          overlap.evaluation = found->second;
        }
        return absl::OkStatus();
      }));
  return overlap;
}

}  // namespace attnrl::data_set
