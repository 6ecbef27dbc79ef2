// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/security/security.h"

namespace grpc {
class Server;
class Service;
namespace experimental {
class ExternalConnectionAcceptor;
}
}  // namespace grpc

namespace attnrl::rpc {

class Listener;
using ConnectionAcceptor = grpc::experimental::ExternalConnectionAcceptor;

// The largest messages to and from a server. Bigger payloads are streamed in chunks. Parsing can
// take forty times the bytes of a message, since two of them are an unknown field without contents.
inline constexpr int kMaxRequestBytes = 3 << 20;
inline constexpr int kMaxReplyBytes = 4 << 20;

// What all connections of a server may have received that its handlers haven't taken yet.
inline constexpr size_t kMaxReceivedBytes = size_t{256} << 20;

struct ServerOptions {
  // "unix:/path" (absolute, at most 107 bytes) or "host:port"; port 0 takes a free one.
  std::string address = {};
  Security security = {};
  // Name under which grpc.health.v1.Health answers, besides "", e.g. "rollout".
  std::string service_name = {};
  // Where health alone is answered too, without TLS, for probes that have no certificate; empty:
  // nowhere.
  std::string health_address = {};
  int max_request_bytes = kMaxRequestBytes;
  // After about this long a client is asked to connect again, so that it learns of new replicas;
  // calls under way are finished. For a service of many replicas and short calls.
  absl::Duration max_connection_age = absl::InfiniteDuration();
  // Handlers that may run at once, streams included; further calls get RESOURCE_EXHAUSTED.
  int max_threads = 256;
};

// A gRPC server with health, message limits and keepalive of one kind for all services. Handlers
// run on gRPC's threads. The health answer is NOT_SERVING until SetServing(true).
//   ATTNRL_ASSIGN_OR_RETURN(auto server, Server::Start({.address = address}, {&service}));
//   server->SetServing(true);
//   ... wait for the shutdown signal ...
//   server->Shutdown(absl::Seconds(10));
// Thread-safe.
class Server {
 public:
  // The services must outlive the server. A Unix socket gets mode 0600; the file of a dead process
  // is replaced. Without services health alone is answered, for which no TLS is needed. InputError
  // naming the address when it is in use, can't be bound, or needs TLS, or naming the certificate
  // that is of no use.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const std::vector<grpc::Service*>& services);
  ~Server();

  // As bound: "unix:/path" or "host:port" with the real port.
  const std::string& address() const { return address_; }
  // The same of health_address; empty without one.
  std::string health_address() const { return health_ == nullptr ? "" : health_->address(); }
  void SetServing(bool serving);
  // Alive, under the name "", and not ready, under its own.
  void SetStandingBy();
  // NOT_SERVING at once; new calls are refused; running ones get `grace` and are then cancelled.
  // Blocks until they are gone. Later calls do nothing.
  void Shutdown(absl::Duration grace);
  // Blocks until Shutdown.
  void Wait();

 private:
  Server(ServerOptions options, std::unique_ptr<grpc::Server> server, std::string address);
  void Listen(std::unique_ptr<Listener> listener, std::unique_ptr<ConnectionAcceptor> acceptor);

  const ServerOptions options_;
  const std::unique_ptr<grpc::Server> server_;
  const std::string address_;
  std::unique_ptr<ConnectionAcceptor> acceptor_;  // used by the listener's thread
  absl::Mutex mutex_;
  std::unique_ptr<Listener> listener_ ABSL_GUARDED_BY(mutex_);  // none after Shutdown
  std::unique_ptr<Server> health_;  // at health_address; null without one
};

}  // namespace attnrl::rpc
