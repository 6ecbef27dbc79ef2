// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/shutdown.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

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
