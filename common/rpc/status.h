// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"

namespace attnrl::rpc {

// The one place where statuses cross between absl and gRPC. Codes map one to one.
grpc::Status ToGrpc(const absl::Status& status);

// `what` names the call and its peer, e.g. "NextBatch of batch 7 from the scheduler"; it precedes
// the message of an error.
absl::Status FromGrpc(const grpc::Status& status, std::string_view what);

// "OK", "UNAVAILABLE", ...: gRPC's name of the code, as metrics have it.
std::string_view CodeName(grpc::StatusCode code);

}  // namespace attnrl::rpc
