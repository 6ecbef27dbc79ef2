// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"

namespace attnrl::rpc {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kDns = "dns:///";
constexpr char kForms[] = "unix:/absolute/path or host:port";

std::string Where(const std::string& address) {
  return absl::StrCat("address ", OneLine(address, 200));
}

absl::StatusOr<Address> ParseUnix(const std::string& address) {
  Address parsed;
  parsed.path = address.substr(kUnix.size());
  if (parsed.path.empty() || parsed.path[0] != '/') {
    return InputError(Where(address), "the socket's path is not absolute", kForms);
  }
  if (parsed.path.size() > kMaxSocketPath) {
    return InputError(
        Where(address), absl::StrCat("the socket's path has ", parsed.path.size(), " bytes"),
        absl::StrCat("at most ", kMaxSocketPath, " bytes are allowed, so use a shorter folder"));
  }
  return parsed;
}

// By its number: a name may begin with "127." and lead anywhere.
bool IsLoopback(const std::string& host) {
  in_addr number{};
  if (::inet_pton(AF_INET, host.c_str(), &number) == 1) return ntohl(number.s_addr) >> 24 == 127;
  return host == "localhost" || host == "::1";
}

// 0 when somebody accepts connections there, otherwise the errno of trying.
int TryConnect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return errno;
  const int result =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = result == 0 ? 0 : errno;
  ::close(socket);
  return error;
}

}  // namespace

absl::StatusOr<Address> ParseAddress(const std::string& address) {
  if (address.empty()) return InputError("address", "is empty", kForms);
  if (address.rfind(kUnix, 0) == 0) return ParseUnix(address);
  std::string rest = address;
  if (rest.rfind(kDns, 0) == 0) rest = rest.substr(kDns.size());
  const size_t colon = rest.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return InputError(Where(address), "has no host and port", kForms);
  }
  Address parsed;
  parsed.host = rest.substr(0, colon);
  const bool bracketed = parsed.host.front() == '[' && parsed.host.back() == ']';
  if (bracketed) parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  if (!absl::SimpleAtoi(rest.substr(colon + 1), &parsed.port) || parsed.port < 0 ||
      parsed.port > 65535) {
    return InputError(Where(address), "the port is no number from 0 to 65535", kForms);
  }
  const bool colons = parsed.host.find(':') != std::string::npos;
  if (parsed.host.empty() || parsed.host.find_first_of("/[]") != std::string::npos ||
      colons != bracketed) {
    return InputError(Where(address), "is no host and port", kForms);
  }
  return parsed;
}

bool StaysOnMachine(const Address& address) {
  return address.is_unix() || IsLoopback(address.host);
}

std::string AtPeer(const std::string& peer, uint32_t port) {
  if (peer.rfind("ipv4:", 0) != 0 && peer.rfind("ipv6:", 0) != 0) return "";
  std::string host = peer.substr(5, peer.rfind(':') - 5);
  // Newer versions of gRPC write it as part of a URI.
  host = absl::StrReplaceAll(host, {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
  const absl::StatusOr<Address> parsed = ParseAddress(absl::StrCat(host, ":", port));
  if (!parsed.ok()) return "";
  // Of the addresses of loopback the call came from one, and the port may be open at another.
  return absl::StrCat(StaysOnMachine(*parsed) ? "localhost" : host, ":", port);
}

absl::Status CheckPlaintext(const std::string& address, const Address& parsed,
                            bool allow_plaintext) {
  if (StaysOnMachine(parsed) || allow_plaintext) return absl::OkStatus();
  return InputError(Where(address), "is not on this machine, and there is no TLS",
                    "a Unix socket, loopback, security.certificate with its key and ca, or "
                    "security.allow_plaintext: true to try it out");
}

absl::Status ClaimSocketPath(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus()
                           : InputError(Where(path), std::strerror(errno), kForms);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return InputError(Where("unix:" + path), "in use by a file that is no socket",
                      "a path that does not exist yet");
  }
  const int error = TryConnect(path);
  if (error != ECONNREFUSED && error != ENOENT) {
    return InputError(Where("unix:" + path), "in use by a process that listens there",
                      "another path, or end that process first");
  }
  // Its process is gone: nobody else can be reached through it.
  if (error == ECONNREFUSED && ::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return InputError(Where("unix:" + path),
                      absl::StrCat("can't be replaced: ", std::strerror(errno)),
                      "a path in a writable folder");
  }
  return absl::OkStatus();
}

}  // namespace attnrl::rpc
