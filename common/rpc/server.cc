// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/server.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/address.h"
#include "common/rpc/connection.h"
#include "common/rpc/library.h"
#include "common/rpc/listener.h"
#include "common/rpc/measurement.h"
#include "common/rpc/security/authorize.h"
#include "common/rpc/security/credentials.h"

namespace attnrl::rpc {
namespace {

// Probes are few and short.
constexpr int kHealthThreads = 8;

void EnableHealth() {
  // Not thread-safe itself, so exactly once.
  static const bool enabled = [] {
    grpc::EnableDefaultHealthCheckService(true);
    return true;
  }();
  static_cast<void>(enabled);
}

void Configure(const ServerOptions& options, grpc::ServerBuilder* builder) {
  SetServerArguments(
      [builder](const char* name, int value) { builder->AddChannelArgument(name, value); });
  if (options.max_connection_age != absl::InfiniteDuration()) {
    builder->AddChannelArgument(
        GRPC_ARG_MAX_CONNECTION_AGE_MS,
        static_cast<int>(absl::ToInt64Milliseconds(options.max_connection_age)));
  }
  builder->SetMaxReceiveMessageSize(options.max_request_bytes);
  builder->SetMaxSendMessageSize(kMaxReplyBytes);
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(options.max_threads);
  quota.Resize(kMaxReceivedBytes);
  builder->SetResourceQuota(quota);
  builder->experimental().SetInterceptorCreators(ServerMeasurement());
}

// TLS where there is a certificate; nothing on Unix sockets, nor where only health is answered.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(
    const ServerOptions& options, const Address& parsed, bool health_alone) {
  const Security& security = options.security;
  if (parsed.is_unix() || health_alone) return grpc::InsecureServerCredentials();
  if (security.tls()) return TlsServer(security);
  ATTNRL_RETURN_IF_ERROR(CheckPlaintext(options.address, parsed, security.allow_plaintext));
  if (!StaysOnMachine(parsed)) {
    observe::GetGauge(observe::kRpcPlaintext).Set(1);
    observe::LogWarning(
        "serving without TLS, because security.allow_plaintext is set: anyone on the network can "
        "read and write",
        {{"address", options.address}});
  }
  return grpc::InsecureServerCredentials();
}

std::string BoundAddress(const std::string& address, const Address& parsed, int port) {
  if (parsed.is_unix()) return address;
  const bool colons = parsed.host.find(':') != std::string::npos;
  return colons ? absl::StrCat("[", parsed.host, "]:", port) : absl::StrCat(parsed.host, ":", port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const std::vector<grpc::Service*>& services) {
  ATTNRL_ASSIGN_OR_RETURN(const Address parsed, ParseAddress(options.address));
  if (parsed.is_unix()) ATTNRL_RETURN_IF_ERROR(ClaimSocketPath(parsed.path));
  PrepareLibrary();
  EnableHealth();
  PrepareDescriptors();
  ATTNRL_ASSIGN_OR_RETURN(auto credentials, ServerCredentials(options, parsed, services.empty()));
  if (!services.empty()) SetServedRun(options.security.run_id);
  auto listener = Listener::Bind(parsed);
  if (!listener.ok()) {
    return InputError(
        absl::StrCat("address ", options.address), "in use, or can't be bound on this machine",
        "a free host:port or unix:/path in a writable folder; port 0 takes a free one");
  }
  grpc::ServerBuilder builder;
  Configure(options, &builder);
  using External = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  std::unique_ptr<ConnectionAcceptor> acceptor =
      builder.experimental().AddExternalConnectionAcceptor(External::FROM_FD,
                                                           std::move(credentials));
  for (grpc::Service* service : services) builder.RegisterService(service);
  // gRPC starts no server that has health alone; this one answers everything with UNIMPLEMENTED.
  static auto* nothing = new grpc::CallbackGenericService;
  if (services.empty()) builder.RegisterCallbackGenericService(nothing);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    return absl::InternalError(
        absl::StrCat("address ", options.address, ": gRPC starts no server"));
  }
  std::string address = BoundAddress(options.address, parsed, (*listener)->port());
  std::unique_ptr<Server> out(new Server(options, std::move(server), std::move(address)));
  if (!options.health_address.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(out->health_, Start({.address = options.health_address,
                                                 .service_name = options.service_name,
                                                 .max_threads = kHealthThreads},
                                                {}));
  }
  out->SetServing(false);
  out->Listen(*std::move(listener), std::move(acceptor));
  return out;
}

Server::Server(ServerOptions options, std::unique_ptr<grpc::Server> server, std::string address)
    : options_(std::move(options)), server_(std::move(server)), address_(std::move(address)) {}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  if (!options_.service_name.empty()) health->SetServingStatus(options_.service_name, serving);
  if (health_ != nullptr) health_->SetServing(serving);
}

void Server::SetStandingBy() {
  server_->GetHealthCheckService()->SetServingStatus("", true);
  if (health_ != nullptr) health_->SetStandingBy();
}

void Server::Listen(std::unique_ptr<Listener> listener,
                    std::unique_ptr<ConnectionAcceptor> acceptor) {
  absl::MutexLock lock(&mutex_);
  acceptor_ = std::move(acceptor);
  listener_ = std::move(listener);
  listener_->Start([acceptor = acceptor_.get()](int descriptor) {
    ConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = descriptor;
    acceptor->HandleNewConnection(&connection);
  });
}

void Server::Shutdown(absl::Duration grace) {
  SetServing(false);
  {
    absl::MutexLock lock(&mutex_);
    listener_.reset();
  }
  server_->Shutdown(std::chrono::system_clock::now() +
                    absl::ToChronoMilliseconds(std::min(grace, absl::Hours(1))));
  if (health_ != nullptr) health_->Shutdown(absl::ZeroDuration());
}

void Server::Wait() { server_->Wait(); }

}  // namespace attnrl::rpc
