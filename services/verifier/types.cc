// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/types.h"

#include <algorithm>
#include <iterator>

namespace attnrl::verifier {

std::string_view StatusName(GradeStatus status) {
  switch (status) {
    case GradeStatus::kGraded:
      return "graded";
    case GradeStatus::kNoAnswer:
      return "no_answer";
    case GradeStatus::kUnparsable:
      return "unparsable";
    case GradeStatus::kTimeout:
      return "timeout";
    case GradeStatus::kLimit:
      return "limit";
    case GradeStatus::kCrash:
      return "crash";
  }
  return "crash";
}

bool IsGrader(std::string_view name) {
  return name.empty() ||
         std::find(std::begin(kGraders), std::end(kGraders), name) != std::end(kGraders);
}

size_t Bytes(std::string_view response, const std::vector<std::string>& answers) {
  size_t bytes = response.size();
  for (const std::string& answer : answers) bytes += answer.size();
  return bytes;
}

bool IsVerdict(GradeStatus status) {
  return status != GradeStatus::kTimeout && status != GradeStatus::kCrash;
}

}  // namespace attnrl::verifier
