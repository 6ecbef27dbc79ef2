// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/rpc/verifier_service.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/observe/metrics.h"
#include "common/rpc/handler.h"
#include "services/verifier/convert/convert.h"

namespace attnrl::verifier {
namespace {

constexpr double kMicrosPerSecond = 1e6;

absl::Status Check(const v1::VerifyRequest& request) {
  if (!IsGrader(request.task())) {
    return InputError("task", absl::StrCat("\"", OneLine(request.task(), 60), "\" is no grader"),
                      absl::StrCat("graders are ", absl::StrJoin(kGraders, ", ")));
  }
  if (static_cast<size_t>(request.responses_size()) > kMaxResponsesPerCall) {
    return InputError("responses", absl::StrCat(request.responses_size(), " in one call"),
                      absl::StrCat(kMaxResponsesPerCall, " at most"));
  }
  return absl::OkStatus();
}

void CountResults(const std::vector<GradeResult>& results) {
  for (const GradeResult& result : results) {
    observe::Count(observe::kVerifierResultsTotal, {StatusName(result.status)});
    observe::Observe(observe::kVerifierDurationSeconds, {},
                     static_cast<double>(result.micros) / kMicrosPerSecond);
  }
}

}  // namespace

grpc::Status VerifierService::Verify(grpc::ServerContext* context, const v1::VerifyRequest* request,
                                     v1::VerifyReply* reply) {
  return rpc::Handle(context, "Verifier/Verify", [&] {
    return VerifyBatch(*request, *reply, [context] { return context->IsCancelled(); });
  });
}

absl::Status VerifierService::VerifyBatch(const v1::VerifyRequest& request, v1::VerifyReply& reply,
                                          const Abandoned& abandoned) const {
  ATTNRL_RETURN_IF_ERROR(Check(request));
  const observe::Gauge in_flight = observe::GetGauge(observe::kVerifierInflight);
  in_flight.Add(request.responses_size());
  const absl::StatusOr<std::vector<GradeResult>> results = grade_(FromProto(request), abandoned);
  in_flight.Add(-request.responses_size());
  ATTNRL_RETURN_IF_ERROR(results.status());
  if (!request.check()) CountResults(*results);
  reply.set_checked(request.check());
  for (const GradeResult& result : *results) *reply.add_results() = ToProto(result);
  return absl::OkStatus();
}

}  // namespace attnrl::verifier
