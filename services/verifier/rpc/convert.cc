// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/rpc/convert.h"

namespace attnrl::verifier {
namespace {

v1::GradeResult::Status ToProto(GradeStatus status) {
  switch (status) {
    case GradeStatus::kGraded:
      return v1::GradeResult::STATUS_GRADED;
    case GradeStatus::kNoAnswer:
      return v1::GradeResult::STATUS_NO_ANSWER;
    case GradeStatus::kUnparsable:
      return v1::GradeResult::STATUS_UNPARSABLE;
    case GradeStatus::kTimeout:
      return v1::GradeResult::STATUS_TIMEOUT;
    case GradeStatus::kLimit:
      return v1::GradeResult::STATUS_LIMIT;
    case GradeStatus::kCrash:
      return v1::GradeResult::STATUS_CRASH;
  }
  return v1::GradeResult::STATUS_UNSPECIFIED;
}

}  // namespace

std::vector<GradeRequest> FromProto(const v1::VerifyRequest& message) {
  std::vector<GradeRequest> requests;
  requests.reserve(static_cast<size_t>(message.responses_size()));
  for (const v1::GradeRequest& response : message.responses()) {
    requests.push_back({response.id(),
                        response.response(),
                        {response.answers().begin(), response.answers().end()}});
  }
  return requests;
}

v1::GradeResult ToProto(const GradeResult& result) {
  v1::GradeResult message;
  message.set_id(result.id);
  message.set_status(ToProto(result.status));
  message.set_correct(result.correct);
  message.set_extracted(result.extracted);
  message.set_matched(result.matched);
  message.set_micros(result.micros);
  return message;
}

}  // namespace attnrl::verifier
