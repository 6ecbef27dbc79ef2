// SPDX-License-Identifier: Apache-2.0
// Pausing, draining and resuming a run, also over kills of the scheduler.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST(Halt, APauseHandsOutNothingAndKeepsWhatIsLeased) {
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  run.Tick();
  ASSERT_TRUE(run.scheduler().Pause("lunch").ok());
  EXPECT_EQ(run.scheduler().Status().state, RunState::kPaused);
  EXPECT_FALSE(run.RunToEnd(30));
  EXPECT_EQ(run.scheduler().Status().active_leases, 0u);
  EXPECT_THAT(run.last_reason, HasSubstr("lunch"));
  EXPECT_THAT(run.scheduler().Status().waits,
              ElementsAre(MatchesRegex("the end of the pause, with [0-9]+ items to hand out")));
  ASSERT_TRUE(run.scheduler().Resume().ok());
  EXPECT_TRUE(run.RunToEnd());
}

TEST(Halt, APauseOutlivesAKillAndSoDoesItsEnd) {
  uint64_t transactions = 0;
  const auto expected = Undisturbed(SimulationOptions{}, &transactions);
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  run.Tick();
  ASSERT_TRUE(run.scheduler().Pause("lunch").ok());
  for (int kill = 0; kill < 2; ++kill) {
    run.Kill();
    ASSERT_TRUE(run.Start().ok());
    EXPECT_EQ(run.scheduler().Status().state, RunState::kPaused);
    EXPECT_THAT(run.scheduler().Status().reason, HasSubstr("paused: lunch"));
    EXPECT_FALSE(run.RunToEnd(30));
  }
  ASSERT_TRUE(run.scheduler().Resume().ok());
  run.Kill();
  ASSERT_TRUE(run.Start().ok());
  EXPECT_EQ(run.scheduler().Status().state, RunState::kRunning);
  EXPECT_TRUE(run.RunToEnd());
  EXPECT_EQ(run.batches(), expected);
}

TEST(Halt, ADrainOutlivesAKillUntilSomebodyResumes) {
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  run.Tick();
  ASSERT_TRUE(run.scheduler().Pause("lunch").ok());
  ASSERT_TRUE(run.scheduler().Drain(absl::ZeroDuration()).ok());
  run.Kill();
  ASSERT_TRUE(run.Start().ok());
  EXPECT_EQ(run.scheduler().Status().state, RunState::kDraining);
  Register hello;
  hello.worker = "late";
  EXPECT_TRUE(absl::IsUnavailable(run.scheduler().Connect(hello).status()));
  ASSERT_TRUE(run.scheduler().Resume(/*keep_pause=*/true).ok());
  EXPECT_EQ(run.scheduler().Status().state, RunState::kPaused) << "a pause is another matter";
  ASSERT_TRUE(run.scheduler().Resume().ok());
  EXPECT_TRUE(run.RunToEnd());
}

TEST(Halt, ARunPausedForWantOfSamplesGetsAsManyEmptyBatchesAgain) {
  SimulationOptions options;
  options.steps = 9;
  options.all_correct = true;
  options.max_empty_batches = 3;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  ASSERT_FALSE(run.RunToEnd(100));
  const uint32_t first = run.scheduler().Status().steps_done;
  EXPECT_GE(first, 3u);
  ASSERT_TRUE(run.scheduler().Resume().ok());
  EXPECT_EQ(run.scheduler().Status().state, RunState::kRunning);
  run.Kill();
  ASSERT_TRUE(run.Start().ok());
  EXPECT_EQ(run.scheduler().Status().state, RunState::kRunning) << "a restart pauses nothing anew";
  ASSERT_FALSE(run.RunToEnd(100));
  EXPECT_EQ(run.scheduler().Status().state, RunState::kPaused);
  EXPECT_GE(run.scheduler().Status().steps_done, first + 3);
  ASSERT_TRUE(run.scheduler().Resume().ok());
  EXPECT_TRUE(run.RunToEnd());
}

TEST(Halt, WithMoreEmptyBatchesAllowedTheRunGoesOnByItself) {
  SimulationOptions options;
  options.steps = 6;
  options.all_correct = true;
  options.max_empty_batches = 2;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  ASSERT_FALSE(run.RunToEnd(100));
  run.Kill();
  run.options().max_empty_batches = 20;
  ASSERT_TRUE(run.Start().ok());
  EXPECT_TRUE(run.RunToEnd());
}

}  // namespace
}  // namespace attnrl::scheduler::testing
