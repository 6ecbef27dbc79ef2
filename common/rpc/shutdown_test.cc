// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/shutdown.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <functional>

namespace {

// Seconds by which the wall clock goes back each time that it is read.
int set_back = 0;
int set_back_so_far = 0;

}  // namespace

// Stands for the C library's in this program.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  if (clock == CLOCK_REALTIME) time->tv_sec -= set_back_so_far += set_back;
  return result;
}

namespace attnrl::rpc {
namespace {

// Runs `body` in a process of its own; its exit status.
int InChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(ShutdownSignal, TellsOfASignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    EXPECT_EQ(InChild([signal] {
                ShutdownSignal& shutdown = ShutdownSignal::Install();
                if (shutdown.requested()) return 1;
                if (shutdown.WaitWithTimeout(absl::Milliseconds(5))) return 2;
                ::raise(signal);
                if (!shutdown.requested() || !shutdown.requested()) return 3;
                return shutdown.WaitWithTimeout(absl::InfiniteDuration()) ? 0 : 4;
              }),
              0);
  }
}

TEST(ShutdownSignal, AWaitEndsInItsTimeThoughTheWallClockIsSetBack) {
  EXPECT_EQ(InChild([] {
              const ShutdownSignal& shutdown = ShutdownSignal::Install();
              ::alarm(10);
              set_back = 3600;
              return shutdown.WaitWithTimeout(absl::Milliseconds(5)) ? 1 : 0;
            }),
            0);
}

TEST(ShutdownSignal, EndsAtTheSecondSignal) {
  EXPECT_EQ(InChild([] {
              ShutdownSignal::Install();
              ::raise(SIGINT);
              ::raise(SIGINT);
              return 0;
            }),
            130);
}

TEST(ShutdownSignal, TellsOfARequest) {
  EXPECT_EQ(InChild([] {
              ShutdownSignal& shutdown = ShutdownSignal::Install();
              shutdown.Request();
              shutdown.Wait();
              // A request is no signal: the first Ctrl-C after it is still an orderly one.
              ::raise(SIGINT);
              return 0;
            }),
            0);
}

TEST(ShutdownSignal, LeavesBrokenPipesToTheirWriter) {
  EXPECT_EQ(InChild([] {
              ShutdownSignal::Install();
              int ends[2];
              if (::pipe(ends) != 0) return 1;
              ::close(ends[0]);
              return ::write(ends[1], "x", 1) == -1 ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace attnrl::rpc
