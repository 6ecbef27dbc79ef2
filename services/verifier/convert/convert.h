// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/attnrl/v1/verifier.pb.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

// Between the plain types and the messages of proto/attnrl/v1/verifier.proto. Pure functions.

// Of a request, as the client sends and the service reads it.
v1::GradeRequest ToProto(const GradeRequest& request);
std::vector<GradeRequest> FromProto(const v1::VerifyRequest& message);

// Of a result, as the service sends it.
v1::GradeResult ToProto(const GradeResult& result);

// The results for `requests`. DATA_LOSS where the reply isn't one result for each of them, in their
// order, each with a known status and a matched answer that exists. Where readings were asked for
// and the verifier doesn't know that, all are kGraded.
absl::StatusOr<std::vector<GradeResult>> FromProto(const v1::VerifyReply& message,
                                                   std::span<const GradeRequest> requests);

}  // namespace attnrl::verifier
