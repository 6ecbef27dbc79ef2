// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "proto/attnrl/v1/verifier.pb.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

// Between the messages of proto/attnrl/v1/verifier.proto and the plain types, as the service needs.
std::vector<GradeRequest> FromProto(const v1::VerifyRequest& message);
v1::GradeResult ToProto(const GradeResult& result);

}  // namespace attnrl::verifier
