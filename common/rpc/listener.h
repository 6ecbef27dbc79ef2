// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/address.h"

namespace attnrl::rpc {

// Descriptors that are kept for files and outgoing connections: a connection that would take one of
// them is closed at once.
inline constexpr int kReservedDescriptors = 16;

// Raises the process's limit of open descriptors to the most that it may have; how many are left
// for connections.
int PrepareDescriptors();

// Sockets that listen at one address, and the thread that accepts from them. gRPC could do this
// itself, but release 1.51 stops to listen for good once accept() fails for want of a descriptor;
// this one waits and goes on. Thread-safe.
class Listener {
 public:
  // Listens at all addresses of the host; port 0 takes a free one. A Unix socket has mode 0600
  // before anybody can connect, and connections of other users than this one and root are closed.
  // The path of a Unix socket has to be free (ClaimSocketPath).
  static absl::StatusOr<std::unique_ptr<Listener>> Bind(const Address& address);
  // Stops listening; a Unix socket's file is removed.
  ~Listener();

  int port() const { return port_; }
  // Hands each new connection to `take`, which owns the descriptor, on a thread of its own. Once.
  void Start(std::function<void(int descriptor)> take);

 private:
  Listener() = default;
  absl::Status Open(int family, const void* address, unsigned length);
  void Run(const std::function<void(int)>& take) const;
  void Accept(int socket, const std::function<void(int)>& take) const;

  std::string path_;  // of the Unix socket
  int port_ = 0;
  int limit_ = 0;  // descriptors of this process
  int stop_ = -1;  // an eventfd, readable once the thread is to end
  std::vector<int> sockets_;
  std::thread thread_;
};

}  // namespace attnrl::rpc
