// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

// For tests of servers.
namespace attnrl::rpc {

// Waits until the channel is connected. `what` names the peer: kDeadlineExceeded
// "branch-scheduler at unix:/tmp/a/scheduler.sock: not reachable within 10s".
absl::Status WaitReady(grpc::Channel& channel, absl::Duration timeout, const std::string& what);

// Asks grpc.health.v1.Health whether `service` ("" is the whole server) is serving. kUnavailable
// when it is not, or nobody answers within `deadline`.
absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
                         absl::Duration deadline);

}  // namespace attnrl::rpc
