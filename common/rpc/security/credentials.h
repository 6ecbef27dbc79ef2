// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "common/rpc/security/roles.h"
#include "common/rpc/security/security.h"

namespace attnrl::rpc {

// Credentials for TCP of a process whose security says tls(). The files are read again when they
// change: new connections use the new ones, those that are open stay. InputError where the files
// are of no use now.

// A caller has to show a certificate that leads to the CA; what it may do is for Authorize.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> TlsServer(const Security& security);

// The server has to show a certificate that leads to the CA, names the host that was called (but
// for a rollout worker, which has no name), and is of this run's role `peer`.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsChannel(const Security& security,
                                                                     Role peer);

}  // namespace attnrl::rpc
