// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/base/clock.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PosixProcessesTest : public ::testing::Test {
 protected:
  ProcessSpec Shell(const std::string& script) {
    return {.name = "child", .argv = {"/bin/sh", "-c", script}, .output_file = output_};
  }
  // The child's end; the test's time limit is the deadline.
  ProcessExit Wait(int pid) {
    for (;;) {
      if (const auto exit = processes_.Poll(pid)) return *exit;
      Clock::Real().Sleep(absl::Milliseconds(1));
    }
  }
  std::string Output() { return folder_.Read("output"); }

  const TemporaryFolder folder_;
  const std::string output_ = folder_ / "output";
  PosixProcesses processes_;
};

TEST_F(PosixProcessesTest, ReportsTheExitCodeOnce) {
  const auto pid = processes_.Start(Shell("exit 7"));
  ASSERT_TRUE(pid.ok());
  const ProcessExit exit = Wait(*pid);
  EXPECT_EQ(exit.Text(), "exit code 7");
  EXPECT_FALSE(processes_.Poll(*pid).has_value());
}

TEST_F(PosixProcessesTest, ReportsTheSignal) {
  const auto pid = processes_.Start(Shell("exec sleep 100"));
  ASSERT_TRUE(pid.ok());
  EXPECT_GT(ReadProcessUse(*pid).threads, 0);
  processes_.Signal(*pid, SIGKILL);
  EXPECT_THAT(Wait(*pid).Text(), HasSubstr("signal 9"));
  EXPECT_EQ(ReadProcessUse(*pid).threads, 0);
}

TEST_F(PosixProcessesTest, CollectsOutputAndHandsOnTheEnvironmentWithoutSettings) {
  setenv("ATTNRL_LEARNER_LEARNING_RATE", "1", 1);
  setenv("PROCESS_TEST_KEPT", "yes", 1);
  ProcessSpec spec = Shell("env; echo oops >&2");
  spec.environment["OMP_NUM_THREADS"] = "1";
  const auto pid = processes_.Start(spec);
  ASSERT_TRUE(pid.ok());
  Wait(*pid);
  EXPECT_THAT(Output(), HasSubstr("OMP_NUM_THREADS=1\n"));
  EXPECT_THAT(Output(), HasSubstr("PROCESS_TEST_KEPT=yes\n"));
  EXPECT_THAT(Output(), HasSubstr("oops\n"));
  EXPECT_THAT(Output(), Not(HasSubstr("ATTNRL_LEARNER_LEARNING_RATE")));
}

TEST_F(PosixProcessesTest, SaysWhenABinaryIsNotThere) {
  const auto pid = processes_.Start(
      {.name = "child", .argv = {"/nowhere/attnrl-learner"}, .output_file = output_});
  ASSERT_FALSE(pid.ok());
  EXPECT_THAT(std::string(pid.status().message()), HasSubstr("/nowhere/attnrl-learner"));
}

TEST_F(PosixProcessesTest, GivesTheChildAGroupOfItsOwn) {
  const auto pid = processes_.Start(Shell("exec sleep 100"));
  ASSERT_TRUE(pid.ok());
  EXPECT_EQ(getpgid(*pid), *pid);
  processes_.Signal(*pid, SIGKILL);
  Wait(*pid);
}

}  // namespace
}  // namespace attnrl::tools
