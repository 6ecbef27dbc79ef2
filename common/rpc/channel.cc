// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/address.h"
#include "common/rpc/connection.h"
#include "common/rpc/library.h"
#include "common/rpc/measurement.h"
#include "common/rpc/security/credentials.h"

namespace attnrl::rpc {
namespace {

std::chrono::system_clock::time_point After(absl::Duration duration) {
  // Far beyond every deadline, and far from overflow.
  return absl::ToChronoTime(absl::Now() + std::min(duration, absl::Hours(24 * 365)));
}

// TLS where there is a certificate, nothing on Unix sockets.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientCredentials(
    const std::string& address, const Address& parsed, const ChannelOptions& options) {
  const Security& security = options.security;
  if (!parsed.is_unix() && security.tls()) return TlsChannel(security, options.peer);
  ATTNRL_RETURN_IF_ERROR(CheckPlaintext(address, parsed, security.allow_plaintext));
  if (!StaysOnMachine(parsed)) {
    observe::GetGauge(observe::kRpcPlaintext).Set(1);
    observe::LogWarning("calling without TLS, because security.allow_plaintext is set",
                        {{"address", address}});
  }
  return grpc::InsecureChannelCredentials();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address,
                                                       const ChannelOptions& options) {
  ATTNRL_ASSIGN_OR_RETURN(const Address parsed, ParseAddress(address));
  if (!parsed.is_unix() && parsed.port == 0) {
    return InputError(absl::StrCat("address ", address), "port 0 can't be called",
                      "the port that the server reports");
  }
  PrepareLibrary();
  ATTNRL_ASSIGN_OR_RETURN(const auto credentials, ClientCredentials(address, parsed, options));
  grpc::ChannelArguments arguments;
  SetClientArguments([&arguments](const char* name, int value) { arguments.SetInt(name, value); });
  arguments.SetMaxReceiveMessageSize(options.max_reply_bytes);
  arguments.SetMaxSendMessageSize(options.max_request_bytes);
  if (options.window_bytes > 0) {
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, options.window_bytes);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  }
  // A name stands for several pods: spread the calls.
  if (address.rfind("dns:", 0) == 0) arguments.SetLoadBalancingPolicyName("round_robin");
  return grpc::experimental::CreateCustomChannelWithInterceptors(address, credentials, arguments,
                                                                 ClientMeasurement());
}

std::unique_ptr<grpc::ClientContext> MakeContext(absl::Duration deadline) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (deadline != absl::InfiniteDuration()) context->set_deadline(After(deadline));
  return context;
}

}  // namespace attnrl::rpc
