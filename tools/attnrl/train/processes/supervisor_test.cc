// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/processes/supervisor.h"

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

TEST_F(SupervisorTest, KillsWhatFollowsADeadChildAndStartsBothAgain) {
  ASSERT_TRUE(supervisor_.Start({.name = "learner-rank-1", .follows = "learner"}).ok());
  processes_.End("learner", {.code = 1});
  while (!Look().empty()) {
  }
  EXPECT_THAT(processes_.signals, ElementsAre(Pair(3, SIGKILL)));
  clock_.Advance(absl::Seconds(1));
  Look();
  EXPECT_THAT(processes_.started,
              ElementsAre("learner", "worker-0", "learner-rank-1", "learner", "learner-rank-1"));
  processes_.End("learner-rank-1", {.code = 1});
  Look();
  EXPECT_EQ(processes_.signals.size(), 1u);  // the other way round each ends by itself
}

TEST_F(SupervisorTest, AChildThatIsKilledWithTheOneItFollowsHasNotFailed) {
  ASSERT_TRUE(supervisor_.Start({.name = "learner-rank-1", .follows = "learner"}).ok());
  for (int death = 0; death < 4; ++death) {
    processes_.End("learner", {.code = 1});
    while (!Look().empty()) {
    }
    clock_.Advance(absl::Seconds(5));
    Look();
  }
  EXPECT_TRUE(error_.ok());
  processes_.End("learner-rank-1", {.code = 1});
  const std::vector<ChildEvent> died = Look();
  ASSERT_EQ(died.size(), 1u);
  EXPECT_EQ(died[0].restarts_in, absl::Milliseconds(200)) << "its first death";
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

TEST_F(SupervisorTest, GivesUpAChildThatStandsStillAgainAndAgainHoweverLongThatTakes) {
  for (int freeze = 0; freeze < 5; ++freeze) {
    EXPECT_TRUE(error_.ok());
    supervisor_.Kill("learner");
    Look();
    clock_.Advance(absl::Minutes(3));
    if (freeze < 4) Look();
  }
  EXPECT_TRUE(absl::IsAborted(error_));
  EXPECT_THAT(std::string(error_.message()), HasSubstr("learner stood still 5 times"));
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

TEST_F(SupervisorTest, DoublesTheWaitUpToTheLongest) {
  SupervisorOptions options;
  options.deaths_to_give_up = 100;
  Supervisor supervisor(processes_, clock_, options);
  ASSERT_TRUE(supervisor.Start({.name = "verifier"}).ok());
  std::vector<int64_t> waits;
  for (int death = 0; death < 30; ++death) {
    processes_.End("verifier", {.code = 1});
    waits.push_back(absl::ToInt64Milliseconds(supervisor.Poll()->at(0).restarts_in));
    clock_.Advance(absl::Seconds(10));
    ASSERT_EQ(supervisor.Poll()->at(0).kind, ChildEvent::kRestarted);
  }
  const std::vector<int64_t> first(waits.begin(), waits.begin() + 7);
  EXPECT_THAT(first, ElementsAre(200, 400, 800, 1600, 3200, 6400, 10000));
  EXPECT_EQ(waits.back(), 10000);
  EXPECT_EQ(supervisor.running()[0].restarts, 30);
  processes_.End("verifier", {.code = 1});
  supervisor.NoteProgress();
  EXPECT_EQ(supervisor.Poll()->at(0).restarts_in, absl::Milliseconds(200));
}

TEST_F(SupervisorTest, RestartsNoSoonerThanItSaid) {
  processes_.End("learner", {.code = 1});
  const absl::Duration wait = Look().at(0).restarts_in;
  clock_.Advance(wait - absl::Nanoseconds(1));
  EXPECT_TRUE(Look().empty());
  clock_.Advance(absl::Nanoseconds(1));
  const std::vector<ChildEvent> events = Look();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, ChildEvent::kRestarted);
  EXPECT_EQ(events[0].name, "learner");
}

TEST_F(SupervisorTest, DoesNotCountDeathsThatLieLongAgo) {
  for (int death = 0; death < 12; ++death) {
    processes_.End("learner", {.code = 1});
    Look();
    EXPECT_TRUE(error_.ok()) << death;
    clock_.Advance(absl::Seconds(31));  // four within two minutes
    Look();
  }
}

TEST_F(SupervisorTest, CountsTheDeathsOfEachChildForItself) {
  for (int death = 0; death < 4; ++death) {
    for (const char* name : {"learner", "worker-0"}) processes_.End(name, {.code = 1});
    EXPECT_EQ(Look().size(), 2u);
    clock_.Advance(absl::Seconds(10));
    EXPECT_EQ(Look().size(), 2u);
  }
  EXPECT_TRUE(error_.ok());
  EXPECT_EQ(supervisor_.culprit(), "");
}

TEST_F(SupervisorTest, TakesASignalWithTheNumberOfAnExitCodeForADeath) {
  for (const int signal : {kExitBadInput, kExitDiskFull}) {
    processes_.End("learner", {.signal = signal});
    EXPECT_EQ(Look().size(), 1u) << signal;
    clock_.Advance(absl::Seconds(1));
    Look();
  }
}

TEST_F(SupervisorTest, PassesOnWhyAChildCannotBeStarted) {
  processes_.start_error = absl::NotFoundError("starting attnrl-verifier");
  EXPECT_EQ(supervisor_.Start({.name = "verifier"}).message(), "starting attnrl-verifier");
  EXPECT_EQ(supervisor_.running().size(), 2u);  // there is no such child
  processes_.End("learner", {.code = 1});
  Look();
  clock_.Advance(absl::Seconds(1));
  Look();
  EXPECT_TRUE(absl::IsNotFound(error_)) << error_;
}

TEST_F(SupervisorTest, EndsTheGraceWhenTheUserIsInAHurry) {
  processes_.stubborn = true;
  const absl::Duration start = clock_.Monotonic();
  int asked = 0;
  supervisor_.Stop({}, absl::Hours(1), [&asked] { return ++asked == 3; });
  EXPECT_LT(clock_.Monotonic() - start, absl::Seconds(1));
  EXPECT_TRUE(supervisor_.running().empty());
}

TEST_F(SupervisorTest, StopsAChildThatWaitsForItsRestart) {
  processes_.End("learner", {.code = 1});
  Look();
  supervisor_.Stop({"learner"}, absl::Seconds(1), [] { return false; });
  EXPECT_TRUE(processes_.signals.empty());  // there is nobody to tell
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(Look().empty());
}

TEST_F(SupervisorTest, LeavesNoChildBehindWhenItGoes) {
  processes_.stubborn = true;
  {
    Supervisor supervisor(processes_, clock_);
    ASSERT_TRUE(supervisor.Start({.name = "verifier"}).ok());
  }
  EXPECT_THAT(processes_.signals, ElementsAre(Pair(3, SIGTERM), Pair(3, SIGKILL)));
}

}  // namespace
}  // namespace attnrl::tools
