// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/processes/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

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

TEST_F(PosixProcessesTest, AppendsToTheOutputOfAnEarlierStart) {
  for (const char* word : {"first", "second"}) {
    const auto pid = processes_.Start(Shell(std::string("echo ") + word));
    ASSERT_TRUE(pid.ok());
    Wait(*pid);
  }
  EXPECT_EQ(Output(), "first\nsecond\n");
}

TEST_F(PosixProcessesTest, HandsOnEveryArgumentAsItIs) {
  ProcessSpec spec = {.name = "child", .output_file = output_};
  spec.argv = {"/bin/sh", "-c",  "printf '<%s>' \"$@\"", "sh", "two words", "", "*",
               "$HOME",   "a\nb"};
  const auto pid = processes_.Start(spec);
  ASSERT_TRUE(pid.ok());
  Wait(*pid);
  EXPECT_EQ(Output(), "<two words><><*><$HOME><a\nb>");
}

TEST_F(PosixProcessesTest, LetsTheSpecWinOverTheEnvironment) {
  setenv("PROCESS_TEST_BOTH", "outer", 1);
  ProcessSpec spec =
      Shell("echo $PROCESS_TEST_BOTH $ATTNRL_RUN_SEED; env | grep -c PROCESS_TEST_BOTH");
  spec.environment = {{"PROCESS_TEST_BOTH", "inner"}, {"ATTNRL_RUN_SEED", "7"}};
  const auto pid = processes_.Start(spec);
  ASSERT_TRUE(pid.ok());
  Wait(*pid);
  EXPECT_EQ(Output(), "inner 7\n1\n");
}

TEST_F(PosixProcessesTest, GivesTheChildNoInput) {
  const auto pid = processes_.Start(Shell("cat; echo over"));
  ASSERT_TRUE(pid.ok());
  EXPECT_EQ(Wait(*pid).code, 0);
  EXPECT_EQ(Output(), "over\n");
}

TEST_F(PosixProcessesTest, GivesTheChildTheUsualSignalsWhateverThisProcessIgnores) {
  const auto before = std::signal(SIGTERM, SIG_IGN);
  const auto pid = processes_.Start(Shell("kill -TERM $$; exit 9"));
  std::signal(SIGTERM, before);
  ASSERT_TRUE(pid.ok());
  EXPECT_EQ(Wait(*pid).Text(), "killed by signal 15 (Terminated)");
}

TEST_F(PosixProcessesTest, NamesTheOutputThatCannotBeWritten) {
  ProcessSpec spec = Shell("exit 0");
  spec.output_file = folder_ / "none/output";
  const absl::Status status = processes_.Start(spec).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("none/output"));
}

TEST_F(PosixProcessesTest, SaysWhenAFileIsNoProgram) {
  const auto pid = processes_.Start(
      {.name = "child", .argv = {folder_.Write("text", "hello")}, .output_file = output_});
  EXPECT_TRUE(absl::IsPermissionDenied(pid.status())) << pid.status();
  EXPECT_THAT(std::string(pid.status().message()), HasSubstr("starting " + (folder_ / "text")));
}

TEST_F(PosixProcessesTest, WatchesEachChildForItself) {
  const auto stays = processes_.Start(Shell("exec sleep 100"));
  const auto ends = processes_.Start(Shell("exit 3"));
  ASSERT_TRUE(stays.ok() && ends.ok());
  EXPECT_EQ(Wait(*ends).code, 3);
  EXPECT_FALSE(processes_.Poll(*stays).has_value());
  processes_.Signal(*stays, SIGTERM);
  EXPECT_EQ(Wait(*stays).signal, SIGTERM);
  processes_.Signal(*stays, SIGTERM);  // nobody is there any more
}

TEST(ProcessExit, IsTextForPeople) {
  EXPECT_EQ((ProcessExit{.code = 0}.Text()), "exit code 0");
  EXPECT_EQ((ProcessExit{.code = 137}.Text()), "exit code 137");
  EXPECT_EQ((ProcessExit{.signal = SIGKILL}.Text()), "killed by signal 9 (Killed)");
  EXPECT_EQ((ProcessExit{.code = 1, .signal = SIGSEGV}.Text()),
            "killed by signal 11 (Segmentation fault)");
}

TEST(ProcessUse, OfThisProcessIsPlausible) {
  const ProcessUse use = ReadProcessUse(getpid());
  EXPECT_GE(use.threads, 1);
}

TEST(ProcessMemory, CountsWhatTwoProcessesHaveInCommonByHalves) {
  constexpr size_t kBytes = size_t{64} << 20;
  const int64_t before = ReadProcessMemory(getpid());
  EXPECT_GT(before, 1'000'000);
  std::vector<char> pages(kBytes, 1);
  const int64_t alone = ReadProcessMemory(getpid());
  EXPECT_GT(alone - before, static_cast<int64_t>(kBytes * 9 / 10));
  const pid_t twin = fork();
  if (twin == 0) {
    pause();
    _exit(0);
  }
  ASSERT_GT(twin, 0);
  EXPECT_LT(ReadProcessMemory(getpid()) - before, static_cast<int64_t>(kBytes * 6 / 10));
  kill(twin, SIGKILL);
  waitpid(twin, nullptr, 0);
  EXPECT_EQ(ReadProcessMemory(twin), 0) << "it is gone";
}

TEST(BoundOutput, KeepsTheEndOfAFileThatGrowsAndWhatIsAppendedLater) {
  const TemporaryFolder folder;
  const std::string path = folder / "learner.out";
  std::ofstream child(path, std::ios::app);
  const auto read = [](const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  child << std::string(90, 'a') << std::flush;
  BoundOutput(path, 100);
  EXPECT_EQ(read(path).size(), 90u);
  child << std::string(20, 'b') << std::flush;
  BoundOutput(path, 100);
  EXPECT_EQ(read(path), "");
  EXPECT_EQ(read(path + ".1"), std::string(30, 'a') + std::string(20, 'b'));
  child << "last words" << std::flush;
  EXPECT_EQ(read(path), "last words");
  BoundOutput(folder / "nowhere", 100);
}

}  // namespace
}  // namespace attnrl::tools
