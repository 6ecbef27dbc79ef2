// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "common/base/status.h"
#include "tools/attnrl/train/testing/fake_processes.h"

namespace attnrl::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() {
    EXPECT_TRUE(supervisor_.Start({.name = "learner"}).ok());
    EXPECT_TRUE(supervisor_.Start({.name = "worker-0"}).ok());
  }
  // One look; the events, or the error's message.
  std::vector<ChildEvent> Look() {
    absl::StatusOr<std::vector<ChildEvent>> events = supervisor_.Poll();
    error_ = events.status();
    return events.ok() ? *std::move(events) : std::vector<ChildEvent>{};
  }

  FakeProcesses processes_;
  FakeClock clock_;
  absl::Status error_;
  Supervisor supervisor_{processes_, clock_};
};

TEST_F(SupervisorTest, RestartsADeadChildAfterItsBackOff) {
  processes_.End("worker-0", {.signal = SIGKILL});
  const std::vector<ChildEvent> died = Look();
  ASSERT_EQ(died.size(), 1u);
  EXPECT_EQ(died[0].kind, ChildEvent::kDied);
  EXPECT_EQ(died[0].name, "worker-0");
  EXPECT_THAT(died[0].exit.Text(), HasSubstr("signal 9"));
  EXPECT_TRUE(Look().empty());
  clock_.Advance(absl::Milliseconds(200));
  ASSERT_EQ(Look().size(), 1u);
  EXPECT_THAT(processes_.started, ElementsAre("learner", "worker-0", "worker-0"));
}

TEST_F(SupervisorTest, RestartsAChildThatEndedByItself) {
  processes_.End("learner", {.code = 0});
  EXPECT_EQ(Look().size(), 1u);
}

TEST_F(SupervisorTest, WaitsLongerEachTime) {
  absl::Duration last = absl::ZeroDuration();
  for (int death = 0; death < 4; ++death) {
    processes_.End("learner", {.code = 1});
    const std::vector<ChildEvent> died = Look();
    ASSERT_EQ(died.size(), 1u);
    EXPECT_GT(died[0].restarts_in, last);
    last = died[0].restarts_in;
    clock_.Advance(last);
    Look();
  }
}

TEST_F(SupervisorTest, GivesUpAfterFiveDeathsWithoutProgress) {
  for (int death = 0; death < 5; ++death) {
    EXPECT_TRUE(error_.ok());
    processes_.End("learner", {.code = 1});
    Look();
    clock_.Advance(absl::Seconds(10));
    if (death < 4) Look();
  }
  EXPECT_TRUE(absl::IsAborted(error_));
  EXPECT_THAT(std::string(error_.message()), HasSubstr("learner died 5 times within 2 min"));
  EXPECT_EQ(supervisor_.culprit(), "learner");
}

TEST_F(SupervisorTest, ForgetsDeathsWhenTheRunGetsOn) {
  for (int death = 0; death < 20; ++death) {
    processes_.End("learner", {.code = 1});
    Look();
    EXPECT_TRUE(error_.ok());
    clock_.Advance(absl::Seconds(1));
    Look();
    supervisor_.NoteProgress();
  }
}

TEST_F(SupervisorTest, NeverRestartsAChildThatRefusedItsInput) {
  processes_.End("learner", {.code = kExitBadInput});
  Look();
  EXPECT_TRUE(IsInputError(error_));
  EXPECT_EQ(supervisor_.culprit(), "learner");
}

TEST_F(SupervisorTest, StopsWhenTheDiskIsFull) {
  processes_.End("learner", {.code = kExitDiskFull});
  Look();
  EXPECT_TRUE(absl::IsResourceExhausted(error_));
}

TEST_F(SupervisorTest, StopsChildrenGentlyAndDoesNotRestartThem) {
  supervisor_.Stop({"worker-0"}, absl::Seconds(1), [] { return false; });
  EXPECT_THAT(processes_.signals, ElementsAre(Pair(2, SIGTERM)));
  ASSERT_EQ(supervisor_.running().size(), 1u);
  EXPECT_EQ(supervisor_.running()[0].name, "learner");
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(Look().empty());
}

TEST_F(SupervisorTest, KillsWhatDoesNotEndWithinTheGrace) {
  processes_.stubborn = true;
  supervisor_.Stop({}, absl::Seconds(1), [] { return false; });
  EXPECT_THAT(processes_.signals,
              ElementsAre(Pair(1, SIGTERM), Pair(2, SIGTERM), Pair(1, SIGKILL), Pair(2, SIGKILL)));
  EXPECT_TRUE(supervisor_.running().empty());
}

}  // namespace
}  // namespace attnrl::tools
