// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <string_view>
#include <vector>

namespace attnrl::rpc {

using ClientInterceptors =
    std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>;
using ServerInterceptors =
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>;

// Measures every call of a channel as its caller sees it: attnrl_rpc_client_requests_total by
// target, method and code once it has ended, and attnrl_rpc_message_bytes of its requests.
ClientInterceptors ClientMeasurement();

// Measures what a server sends: attnrl_rpc_message_bytes of its responses.
ServerInterceptors ServerMeasurement();

// A call is about to be made again after a failure ("Verifier/Verify"):
// attnrl_rpc_client_retries_total.
void CountRetry(std::string_view method);

}  // namespace attnrl::rpc
