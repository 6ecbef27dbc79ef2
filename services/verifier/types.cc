// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/types.h"

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

bool IsVerdict(GradeStatus status) {
  return status != GradeStatus::kTimeout && status != GradeStatus::kCrash;
}

}  // namespace attnrl::verifier
