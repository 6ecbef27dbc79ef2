// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/problems.h"

#include <utility>

#include "common/base/status.h"
#include "common/data_set/ids.h"
#include "common/storage/jsonl.h"

namespace attnrl::data_set {

absl::Status ReadProblems(const std::string& path, const FieldNames& names,
                          const std::function<absl::Status(Problem)>& use) {
  Ids ids(names);
  bool any = false;
  ATTNRL_RETURN_IF_ERROR(storage::ReadRecords(
      path, /*skip_bad=*/false, nullptr, [&](const storage::JsonLine& line) -> absl::Status {
        any = true;
        Problem problem;
        ATTNRL_ASSIGN_OR_RETURN(problem.id, ids.Next(line));
        ATTNRL_ASSIGN_OR_RETURN(problem.answers, AnswersOf(line, names));
        ATTNRL_ASSIGN_OR_RETURN(problem.question, QuestionOf(line, names));
        problem.line = line.line;
        problem.where = line.where;
        return use(std::move(problem));
      }));
  if (any) return absl::OkStatus();
  return InputError(path, "the data set has no problem", "at least one is needed");
}

absl::StatusOr<Problem> FirstProblem(const std::string& path, const FieldNames& names) {
  Problem first;
  const absl::Status status = ReadProblems(path, names, [&](Problem problem) {
    first = std::move(problem);
    return absl::CancelledError();  // enough is read
  });
  if (!absl::IsCancelled(status)) return status;
  return first;
}

}  // namespace attnrl::data_set
