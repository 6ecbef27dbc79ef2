// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/problems.h"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/data_set/ids.h"
#include "common/storage/jsonl.h"

namespace attnrl::data_set {

absl::Status ReadProblems(const std::string& path, const FieldNames& names,
                          const std::function<absl::Status(Problem)>& use, int64_t* skipped) {
  Ids ids(names);
  bool any = false;
  ATTNRL_RETURN_IF_ERROR(storage::ReadRecords(
      path, names.skip_bad, skipped, [&](const storage::JsonLine& line) -> absl::Status {
        Problem problem;
        ATTNRL_ASSIGN_OR_RETURN(problem.id, ids.Next(line));
        ATTNRL_ASSIGN_OR_RETURN(problem.answers, AnswersOf(line, names));
        ATTNRL_ASSIGN_OR_RETURN(problem.question, QuestionOf(line, names));
        ATTNRL_ASSIGN_OR_RETURN(std::optional<std::string> grader,
                                storage::OptionalStringField(line, "grader"));
        problem.grader = std::move(grader).value_or("");
        problem.line = line.line;
        problem.where = line.where;
        absl::Status used = use(std::move(problem));
        any = any || used.ok();
        return used;
      }));
  if (any) return absl::OkStatus();
  return InputError(path, "the data set has no problem", "at least one is needed");
}

absl::StatusOr<Problem> FirstProblem(const std::string& path, const FieldNames& names,
                                     const std::set<std::string>& but) {
  Problem first;
  const absl::Status status = ReadProblems(path, names, [&](Problem problem) {
    if (but.contains(problem.id)) return absl::OkStatus();
    first = std::move(problem);
    return absl::CancelledError();  // enough is read
  });
  if (!absl::IsCancelled(status)) return status;
  return first;
}

}  // namespace attnrl::data_set
