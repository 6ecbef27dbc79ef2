// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::rpc {

// An address as configuration has it: "unix:/absolute/path", "host:port", "[::1]:port" or
// "dns:///host:port".
struct Address {
  std::string path;  // of the Unix socket; empty for TCP
  std::string host;
  int port = 0;

  bool is_unix() const { return !path.empty(); }
};

// The longest path of a Unix socket (sun_path less its NUL), in bytes.
inline constexpr size_t kMaxSocketPath = 107;

// InputError saying what an address looks like.
absl::StatusOr<Address> ParseAddress(const std::string& address);

// True for Unix sockets and loopback: what is said there can't be heard elsewhere.
bool StaysOnMachine(const Address& address);

// OK for addresses that stay on the machine; otherwise an InputError unless `allow_plaintext`.
absl::Status CheckPlaintext(const std::string& address, const Address& parsed,
                            bool allow_plaintext);

// "host:port" of a port at the other end of a connection, of which gRPC says `peer`
// ("ipv4:10.0.0.7:40222"). Empty where that is no TCP.
std::string AtPeer(const std::string& peer, uint32_t port);

// Makes the path of a Unix socket free to bind: a socket file that nobody listens on is removed. A
// live one, and a file that is no socket, is an InputError ("in use").
absl::Status ClaimSocketPath(const std::string& path);

}  // namespace attnrl::rpc
