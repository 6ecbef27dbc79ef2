// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/processes/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace attnrl::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HealthWatchTest : public ::testing::Test {
 protected:
  // A look each second.
  std::vector<std::string> Look(int seconds) {
    std::vector<std::string> frozen;
    for (int second = 0; second < seconds; ++second) {
      clock_.Advance(absl::Seconds(1));
      use_.processor_seconds += work_;
      const auto found = watch_.Look({{"learner", pid_}});
      frozen.insert(frozen.end(), found.begin(), found.end());
    }
    return frozen;
  }

  FakeClock clock_;
  bool answers_ = true;
  ProcessUse use_;
  double work_ = 0;  // processor seconds a second
  int pid_ = 7;
  HealthWatch watch_{
      [this](const std::string&) { return answers_; }, [this](int) { return use_; }, clock_, {}};
};

TEST_F(HealthWatchTest, FindsAChildThatNeitherAnswersNorWorksOnce) {
  EXPECT_THAT(Look(100), IsEmpty());
  answers_ = false;
  EXPECT_THAT(Look(29), IsEmpty());
  EXPECT_THAT(Look(100), ElementsAre("learner"));
}

TEST_F(HealthWatchTest, LeavesABusyChildAlone) {
  Look(1);
  answers_ = false;
  work_ = 0.5;
  EXPECT_THAT(Look(1000), IsEmpty());
  work_ = 0;
  EXPECT_THAT(Look(70), ElementsAre("learner")) << "until it stops working too";
}

TEST_F(HealthWatchTest, LeavesAChildAloneThatStarts) {
  answers_ = false;
  EXPECT_THAT(Look(1000), IsEmpty());
}

TEST_F(HealthWatchTest, KnowsARestartedChildForAnotherOne) {
  Look(1);
  answers_ = false;
  Look(29);
  pid_ = 8;
  EXPECT_THAT(Look(1000), IsEmpty());
}

TEST_F(HealthWatchTest, GivesChildrenTimeAfterItStoodStillItself) {
  Look(1);
  answers_ = false;
  Look(20);
  clock_.Advance(absl::Hours(8));
  EXPECT_THAT(Look(30), IsEmpty());
  EXPECT_THAT(Look(5), ElementsAre("learner"));
}

TEST_F(HealthWatchTest, LeavesAChildInADebuggerAlone) {
  Look(1);
  answers_ = false;
  use_.traced = true;
  EXPECT_THAT(Look(1000), IsEmpty());
}

// A process that does nothing but use the processor, until it is killed.
TEST(ReadProcessUse, CountsTheProcessorTimeOfALivingProcessAndNoneOfAStoppedOne) {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) (void)getppid();
  }
  while (ReadProcessUse(child).processor_seconds < 0.05) continue;
  kill(child, SIGSTOP);
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  EXPECT_TRUE(WIFSTOPPED(status));
  const double stopped = ReadProcessUse(child).processor_seconds;
  while (ReadProcessUse(getpid()).processor_seconds < stopped + 0.05) continue;
  EXPECT_EQ(ReadProcessUse(child).processor_seconds, stopped);
  EXPECT_FALSE(ReadProcessUse(child).traced);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
}

}  // namespace
}  // namespace attnrl::tools
