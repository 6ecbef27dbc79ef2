// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/listener.h"

#include <dirent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/once_a_minute.h"

namespace attnrl::rpc {
namespace {

// Connections that wait for Accept, as many as the kernel allows.
constexpr int kBacklog = SOMAXCONN;
// Between two attempts while no descriptor is free.
constexpr int kRetryMs = 100;

int DescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<int>::max();
  return static_cast<int>(
      std::min<rlim_t>(limit.rlim_cur, static_cast<rlim_t>(std::numeric_limits<int>::max())));
}

int OpenDescriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int open = 0;
  while (::readdir(folder) != nullptr) ++open;
  ::closedir(folder);
  return open;
}

absl::Status CannotBind(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// Whether the process at the other end of a Unix socket is this user's, or root's, from whom
// nothing can be kept. The socket's mode says the same, but may be changed by whoever owns its
// folder.
bool IsOfThisUser(int connection) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == ::geteuid() || peer.uid == 0) return true;
  observe::Count(observe::kRpcRejectedTotal, {"other", "authz"});
  static OnceAMinute is_time;
  if (is_time()) {
    observe::LogWarning("a connection of another user is refused", {{"uid", peer.uid}});
  }
  return false;
}

void NoteRefusal(int limit) {
  observe::Count(observe::kRpcRejectedTotal, {"other", "overload"});
  static OnceAMinute is_time;
  if (!is_time()) return;
  observe::LogWarning("connections are refused: the process has no file descriptors left for them",
                      {{"limit", limit}, {"reserved", kReservedDescriptors}});
}

}  // namespace

int PrepareDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);  // where it is refused, the soft limit stays
  }
  return std::max(0, DescriptorLimit() - OpenDescriptors() - kReservedDescriptors);
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Bind(const Address& address) {
  std::unique_ptr<Listener> listener(new Listener);
  listener->limit_ = DescriptorLimit();
  listener->stop_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (listener->stop_ < 0) return CannotBind("eventfd");
  if (address.is_unix()) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.path.c_str(), address.path.size() + 1);
    ATTNRL_RETURN_IF_ERROR(listener->Open(AF_UNIX, &name, sizeof(name)));
    listener->path_ = address.path;
    return listener;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(address.host.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::UnavailableError(absl::StrCat(address.host, ": ", ::gai_strerror(error)));
  }
  listener->port_ = address.port;
  absl::Status status = absl::UnavailableError("no address");
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const bool six = each->ai_family == AF_INET6;
    auto* port = six ? &reinterpret_cast<sockaddr_in6*>(each->ai_addr)->sin6_port
                     : &reinterpret_cast<sockaddr_in*>(each->ai_addr)->sin_port;
    *port = htons(static_cast<uint16_t>(listener->port_));
    status = listener->Open(each->ai_family, each->ai_addr, each->ai_addrlen);
    // A machine without IPv6 has the name of its own in it all the same.
    if (!status.ok() && !listener->sockets_.empty()) status = absl::OkStatus();
  }
  ::freeaddrinfo(found);
  ATTNRL_RETURN_IF_ERROR(status);
  return listener;
}

absl::Status Listener::Open(int family, const void* address, unsigned length) {
  const int socket = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return CannotBind("socket");
  const int on = 1;
  if (family != AF_UNIX) ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const auto* name = static_cast<const sockaddr*>(address);
  const bool bound = ::bind(socket, name, length) == 0 &&
                     (family != AF_UNIX ||
                      ::chmod(static_cast<const sockaddr_un*>(address)->sun_path, 0600) == 0) &&
                     ::listen(socket, kBacklog) == 0;
  if (!bound) {
    const absl::Status status = CannotBind("bind");
    ::close(socket);
    return status;
  }
  sockaddr_storage taken{};
  socklen_t size = sizeof(taken);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&taken), &size);
  if (family == AF_INET) port_ = ntohs(reinterpret_cast<sockaddr_in*>(&taken)->sin_port);
  if (family == AF_INET6) port_ = ntohs(reinterpret_cast<sockaddr_in6*>(&taken)->sin6_port);
  sockets_.push_back(socket);
  return absl::OkStatus();
}

Listener::~Listener() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    static_cast<void>(::write(stop_, &one, sizeof(one)) == sizeof(one));
    thread_.join();
  }
  if (!path_.empty()) ::unlink(path_.c_str());
  for (const int socket : sockets_) ::close(socket);
  if (stop_ >= 0) ::close(stop_);
}

void Listener::Start(std::function<void(int)> take) {
  thread_ = std::thread([this, take = std::move(take)] { Run(take); });
}

void Listener::Run(const std::function<void(int)>& take) const {
  std::vector<pollfd> waiting;
  for (const int socket : sockets_) waiting.push_back({socket, POLLIN, 0});
  waiting.push_back({stop_, POLLIN, 0});
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting.back().revents != 0) return;
    for (const pollfd& each : waiting) {
      if (each.revents != 0) Accept(each.fd, take);
    }
  }
}

void Listener::Accept(int socket, const std::function<void(int)>& take) const {
  const int connection = ::accept4(socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection < 0) {
    // Gone again, or stolen by nobody: poll says when there is another one.
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;
    NoteRefusal(limit_);
    pollfd stop{stop_, POLLIN, 0};
    ::poll(&stop, 1, kRetryMs);
    return;
  }
  // The lowest free number is given, so it says how many are in use.
  if (connection >= limit_ - kReservedDescriptors) {
    NoteRefusal(limit_);
    ::close(connection);
    return;
  }
  if (!path_.empty() && !IsOfThisUser(connection)) {
    ::close(connection);
    return;
  }
  const int on = 1;
  ::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // no TCP: refused, no harm
  take(connection);
}

}  // namespace attnrl::rpc
