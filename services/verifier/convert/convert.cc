// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/convert/convert.h"

#include <optional>

#include "absl/strings/str_cat.h"

namespace attnrl::verifier {
namespace {

std::optional<GradeStatus> FromProto(v1::GradeResult::Status status) {
  switch (status) {
    case v1::GradeResult::STATUS_GRADED:
      return GradeStatus::kGraded;
    case v1::GradeResult::STATUS_NO_ANSWER:
      return GradeStatus::kNoAnswer;
    case v1::GradeResult::STATUS_UNPARSABLE:
      return GradeStatus::kUnparsable;
    case v1::GradeResult::STATUS_TIMEOUT:
      return GradeStatus::kTimeout;
    case v1::GradeResult::STATUS_LIMIT:
      return GradeStatus::kLimit;
    case v1::GradeResult::STATUS_CRASH:
      return GradeStatus::kCrash;
    default:  // unspecified, or a newer verifier's
      return std::nullopt;
  }
}

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

v1::GradeRequest ToProto(const GradeRequest& request) {
  v1::GradeRequest message;
  message.set_id(request.id);
  message.set_response(request.response);
  for (const std::string& answer : request.answers) message.add_answers(answer);
  return message;
}

std::vector<GradeRequest> FromProto(const v1::VerifyRequest& message) {
  std::vector<GradeRequest> requests;
  requests.reserve(static_cast<size_t>(message.responses_size()));
  for (const v1::GradeRequest& response : message.responses()) {
    requests.push_back({response.id(),
                        response.response(),
                        {response.answers().begin(), response.answers().end()},
                        message.task()});
    requests.back().check = message.check();
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

absl::StatusOr<std::vector<GradeResult>> FromProto(const v1::VerifyReply& message,
                                                   std::span<const GradeRequest> requests) {
  if (static_cast<size_t>(message.results_size()) != requests.size()) {
    return absl::DataLossError(absl::StrCat("the verifier sent ", message.results_size(),
                                            " results for ", requests.size(), " responses"));
  }
  std::vector<GradeResult> results;
  for (const v1::GradeResult& reply : message.results()) {
    const GradeRequest& request = requests[results.size()];
    std::optional<GradeStatus> status = FromProto(reply.status());
    bool fits = status && reply.id() == request.id && reply.correct() == (reply.matched() >= 0) &&
                reply.matched() < static_cast<int64_t>(request.answers.size()) &&
                (!reply.correct() || *status == GradeStatus::kGraded);
    if (!fits) {
      return absl::DataLossError(
          absl::StrCat("result ", results.size(), " of the verifier does not fit its request"));
    }
    results.push_back(
        {reply.id(), *status, reply.correct(), reply.extracted(), reply.matched(), reply.micros()});
    // A verifier that doesn't know what was asked has graded an empty response.
    if (request.check && !message.checked()) {
      results.back() = GradeResult();
      results.back().id = request.id;
      results.back().status = GradeStatus::kGraded;
    }
  }
  return results;
}

}  // namespace attnrl::verifier
