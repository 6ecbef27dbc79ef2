// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/grader_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"

namespace attnrl::verifier {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;
// A process that gets no processor time has hung by this many time-outs.
constexpr int kStarvedTimeouts = 10;

absl::Duration Now() { return Clock::Real().Monotonic(); }

absl::Status Failed(const std::string& binary, const std::string& what) {
  return absl::UnavailableError(absl::StrCat("grader ", binary, ": ", what));
}

// Waits until the socket can be read (or written, if asked) or `timeout` has passed.
short Poll(int socket, bool write, absl::Duration timeout) {
  pollfd entry{socket, static_cast<short>(write ? POLLIN | POLLOUT : POLLIN), 0};
  int64_t milliseconds = std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout) + 1, 0, INT_MAX);
  int ready = poll(&entry, 1, static_cast<int>(milliseconds));
  return ready > 0 ? entry.revents : static_cast<short>(0);
}

int Spawn(const std::string& binary, int socket, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, socket, STDOUT_FILENO);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::string name = binary;
  char* arguments[] = {name.data(), nullptr};
  char* environment[] = {nullptr};
  int error = posix_spawn(pid, binary.c_str(), &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

// What one call of Run has sent and received so far.
struct GraderProcess::Exchange {
  std::span<const GradeRequest* const> requests;
  const std::function<void(GradeResult)>& done;
  size_t encoded = 0;      // requests turned into bytes
  size_t answered = 0;     // requests with a result
  std::string frame = {};  // of the last request encoded
  size_t sent = 0;         // bytes of it

  bool HasMoreToSend() const { return sent < frame.size() || encoded < requests.size(); }
};

absl::StatusOr<std::unique_ptr<GraderProcess>> GraderProcess::Start(const std::string& binary,
                                                                    absl::Duration patience) {
  if (access(binary.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("grader ", binary, ": ", std::strerror(errno)));
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return Failed(binary, std::strerror(errno));
  }
  pid_t pid = 0;
  int error = Spawn(binary, ends[1], &pid);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return Failed(binary, std::strerror(error));
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  std::unique_ptr<GraderProcess> process(new GraderProcess(pid, ends[0]));
  absl::Status ready = process->AwaitHello(binary, patience);
  if (!ready.ok()) return ready;
  return process;
}

GraderProcess::~GraderProcess() {
  close(socket_);
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

absl::Status GraderProcess::AwaitHello(const std::string& binary, absl::Duration patience) {
  absl::Duration deadline = Now() + patience;
  char buffer[64];
  while (Now() < deadline) {
    if (Poll(socket_, false, deadline - Now()) == 0) continue;
    ssize_t got = recv(socket_, buffer, sizeof(buffer), 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return Failed(binary, "it ended before it was ready");
    reader_.Append(std::string_view(buffer, static_cast<size_t>(got)));
    std::optional<std::string_view> hello = reader_.Next();
    if (hello == kHello) return absl::OkStatus();
    if (hello || reader_.broken()) {
      return Failed(binary, "it uses another version of the pipe format");
    }
  }
  return absl::DeadlineExceededError(
      absl::StrCat("grader ", binary, ": not ready after ", absl::FormatDuration(patience)));
}

absl::Duration GraderProcess::ProcessorTime() const {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &used) != 0) {
    return absl::ZeroDuration();
  }
  return absl::DurationFromTimespec(used);
}

bool GraderProcess::Send(Exchange& exchange) {
  while (exchange.HasMoreToSend()) {
    if (exchange.sent == exchange.frame.size()) {
      exchange.frame = Frame(EncodeRequest(*exchange.requests[exchange.encoded++]));
      exchange.sent = 0;
    }
    ssize_t sent = send(socket_, exchange.frame.data() + exchange.sent,
                        exchange.frame.size() - exchange.sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    exchange.sent += static_cast<size_t>(sent);
  }
  return true;
}

bool GraderProcess::Receive(Exchange& exchange) {
  char buffer[kReadBytes];
  while (true) {
    ssize_t got = recv(socket_, buffer, sizeof(buffer), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    reader_.Append(std::string_view(buffer, static_cast<size_t>(got)));
    while (std::optional<std::string_view> body = reader_.Next()) {
      std::optional<GradeResult> result = DecodeResult(*body);
      if (!result || exchange.answered == exchange.encoded) return false;
      const GradeRequest& request = *exchange.requests[exchange.answered];
      bool matches = result->matched >= 0;
      if (matches != result->correct ||
          result->matched >= static_cast<int64_t>(request.answers.size())) {
        return false;
      }
      ++exchange.answered;
      exchange.done(*std::move(result));
    }
    if (reader_.broken()) return false;
  }
}

GraderProcess::Outcome GraderProcess::Run(std::span<const GradeRequest* const> requests,
                                          absl::Duration timeout,
                                          const std::function<void(GradeResult)>& done) {
  Exchange exchange{requests, done};
  absl::Duration progress = Now();
  absl::Duration used = ProcessorTime();
  while (exchange.answered < requests.size()) {
    bool sent = Send(exchange);
    absl::Duration waited = Now() - progress;
    absl::Duration patience = waited < timeout ? timeout - waited : timeout / kStarvedTimeouts;
    Poll(socket_, sent && exchange.HasMoreToSend(), patience);
    size_t before = exchange.answered;
    if (!Receive(exchange)) return Outcome::kDied;
    if (!sent && exchange.answered < requests.size()) return Outcome::kDied;
    if (exchange.answered > before) {
      progress = Now();
      used = ProcessorTime();
      continue;
    }
    waited = Now() - progress;
    bool worked = ProcessorTime() - used >= timeout;
    if (waited >= timeout && (worked || waited >= kStarvedTimeouts * timeout)) {
      return Outcome::kTimedOut;
    }
  }
  return Outcome::kFinished;
}

std::string GraderBesideExecutable() {
  char path[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  std::string_view executable(path, size > 0 ? static_cast<size_t>(size) : 0);
  size_t slash = executable.rfind('/');
  if (slash == std::string_view::npos) return "attnrl-grader";
  return absl::StrCat(std::string(executable.substr(0, slash)), "/attnrl-grader");
}

}  // namespace attnrl::verifier
