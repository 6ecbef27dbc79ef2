// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/server.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/rpc/address.h"
#include "common/rpc/connection.h"
#include "common/rpc/library_log.h"
#include "common/rpc/measurement.h"

namespace attnrl::rpc {
namespace {

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
  builder->SetMaxReceiveMessageSize(options.max_message_bytes);
  builder->SetMaxSendMessageSize(options.max_message_bytes);
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(options.max_threads);
  builder->SetResourceQuota(quota);
  builder->experimental().SetInterceptorCreators(ServerMeasurement());
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
  ATTNRL_RETURN_IF_ERROR(CheckPlaintext(options.address, parsed, options.allow_plaintext));
  if (parsed.is_unix()) ATTNRL_RETURN_IF_ERROR(ClaimSocketPath(parsed.path));
  RedirectLibraryLog();
  EnableHealth();
  grpc::ServerBuilder builder;
  Configure(options, &builder);
  int port = 0;
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  // gRPC starts no server that has health alone; this one answers everything with UNIMPLEMENTED.
  static auto* nothing = new grpc::CallbackGenericService;
  if (services.empty()) builder.RegisterCallbackGenericService(nothing);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return InputError(
        absl::StrCat("address ", options.address), "in use, or can't be bound on this machine",
        "a free host:port or unix:/path in a writable folder; port 0 takes a free one");
  }
  // The folder is private, so nobody could connect before this.
  if (parsed.is_unix() && ::chmod(parsed.path.c_str(), 0600) != 0) {
    return absl::InternalError(absl::StrCat(parsed.path, ": chmod failed: ", std::strerror(errno)));
  }
  std::string address = BoundAddress(options.address, parsed, port);
  std::unique_ptr<Server> out(new Server(options, std::move(server), std::move(address)));
  out->SetServing(false);
  if (!StaysOnMachine(parsed)) {
    observe::LogWarning(
        "serving without TLS, because security.allow_plaintext is set: anyone on the network can "
        "read and write",
        {{"address", out->address()}});
  }
  return out;
}

Server::Server(ServerOptions options, std::unique_ptr<grpc::Server> server, std::string address)
    : options_(std::move(options)), server_(std::move(server)), address_(std::move(address)) {}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  if (!options_.service_name.empty()) health->SetServingStatus(options_.service_name, serving);
}

void Server::Shutdown(absl::Duration grace) {
  SetServing(false);
  server_->Shutdown(std::chrono::system_clock::now() +
                    absl::ToChronoMilliseconds(std::min(grace, absl::Hours(1))));
}

void Server::Wait() { server_->Wait(); }

}  // namespace attnrl::rpc
