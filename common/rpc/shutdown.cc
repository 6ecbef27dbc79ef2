// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/shutdown.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "common/base/clock.h"

namespace attnrl::rpc {
namespace {

constexpr int kInterruptedExit = 130;

// All that a signal handler may touch: lock-free and async-signal-safe. The event is never read, so
// once written it stays readable for every waiter.
std::atomic<int> event{-1};
std::atomic<int> signals{0};

void RequestNow() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event.load(), &one, sizeof(one));
}

void OnSignal(int) {
  const int before = errno;
  if (signals.fetch_add(1) > 0) ::_exit(kInterruptedExit);
  RequestNow();
  errno = before;
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

ShutdownSignal& ShutdownSignal::Install() {
  static auto* signal = new ShutdownSignal;
  return *signal;
}

bool ShutdownSignal::requested() const { return WaitWithTimeout(absl::ZeroDuration()); }

bool ShutdownSignal::WaitWithTimeout(absl::Duration timeout) const {
  // The wall clock may be set back, and who waits would then miss the end of what it waits beside.
  const absl::Duration end = Clock::Real().Monotonic() + timeout;
  pollfd waited{event.load(), POLLIN, 0};
  while (true) {
    const absl::Duration left =
        std::clamp(end - Clock::Real().Monotonic(), absl::ZeroDuration(), absl::Hours(1));
    // Rounded up, so that it never spins.
    const int milliseconds =
        static_cast<int>(absl::ToInt64Milliseconds(left + absl::Microseconds(999)));
    if (::poll(&waited, 1, milliseconds) > 0) return true;
    if (Clock::Real().Monotonic() >= end) return false;
  }
}

void ShutdownSignal::Request() { RequestNow(); }

}  // namespace attnrl::rpc
