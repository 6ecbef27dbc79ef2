// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "services/verifier/grading/grader.h"

namespace attnrl::verifier {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kFiltered = false;
#else
constexpr bool kFiltered = true;
#endif

void Enter() {
  if (!EnterSandbox().empty()) _exit(99);
}

// Each statement runs in a process of its own, which ends there.
class SandboxDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kFiltered) GTEST_SKIP() << "a sanitizer needs what the sandbox takes away";
  }
};

TEST_F(SandboxDeathTest, GradingNeedsNothingThatIsTakenAway) {
  EXPECT_EXIT(
      {
        Enter();
        std::string large(size_t{32} << 20, '7');
        _exit(Grade({"", large.substr(0, 1 << 20) + "\\boxed{1/2}", {"0.5"}}).correct ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(SandboxDeathTest, FilesSocketsAndProcessesAreDeadly) {
  EXPECT_EXIT((Enter(), open("/etc/passwd", O_RDONLY), _exit(0)), testing::KilledBySignal(SIGSYS),
              "");
  EXPECT_EXIT((Enter(), socket(AF_INET, SOCK_STREAM, 0), _exit(0)), testing::KilledBySignal(SIGSYS),
              "");
  EXPECT_EXIT((Enter(), fork(), _exit(0)), testing::KilledBySignal(SIGSYS), "");
  EXPECT_EXIT((Enter(), kill(getppid(), 0), _exit(0)), testing::KilledBySignal(SIGSYS), "");
}

TEST_F(SandboxDeathTest, DescriptorsOfTheParentAreClosed) {
  const int descriptor = open("/dev/null", O_WRONLY);
  ASSERT_GT(descriptor, 2);
  EXPECT_EXIT((Enter(), _exit(write(descriptor, "x", 1) < 0 ? 0 : 1)), testing::ExitedWithCode(0),
              "");
  close(descriptor);
}

TEST_F(SandboxDeathTest, MemoryIsBounded) {
  EXPECT_EXIT((Enter(), _exit(std::malloc(size_t{3} << 30) == nullptr ? 0 : 1)),
              testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace attnrl::verifier
