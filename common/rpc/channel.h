// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/security/roles.h"
#include "common/rpc/security/security.h"
#include "common/rpc/server.h"

namespace attnrl::rpc {

struct ChannelOptions {
  Security security = {};
  // Who is called: with TLS its certificate must say so.
  Role peer = Role::kVerifier;
  int max_request_bytes = kMaxRequestBytes;
  int max_reply_bytes = kMaxReplyBytes;
  // What a stream may send before the caller has read it, from the start; also memory of each
  // stream. 0: gRPC begins with 64 KiB and tries out more on the way, with pauses.
  int window_bytes = 0;
};

// A channel to "unix:/path", "host:port" or "dns:///host:port". Connects in the background and
// again after every loss, first after 100 ms, at the latest after 2 s. InputError for an address
// that can't be one or needs TLS, and for certificates that are of no use. Thread-safe, as the
// channel is.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address,
                                                       const ChannelOptions& options = {});

// A fresh context for one attempt of one call, with its deadline from now. InfiniteDuration is for
// streams that live as long as their peer.
std::unique_ptr<grpc::ClientContext> MakeContext(absl::Duration deadline);

}  // namespace attnrl::rpc
