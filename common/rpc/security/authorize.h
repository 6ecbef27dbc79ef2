// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace attnrl::rpc {

// The run whose certificates this process accepts; a process serves one. rpc::Server sets it.
// Before, every certificate is refused. Thread-safe.
void SetServedRun(const std::string& run);

// Whether the caller may call `method`: by the role of its certificate where the connection has
// TLS. Where it has none, the connection was let in for another reason (a Unix socket of this user,
// loopback, security.allow_plaintext) and counts as every role. Handle and HandleStream ask before
// they enter a handler; a handler that goes through neither has to ask itself. kPermissionDenied.
absl::Status Authorize(const grpc::ServerContextBase& context, std::string_view method);

}  // namespace attnrl::rpc
