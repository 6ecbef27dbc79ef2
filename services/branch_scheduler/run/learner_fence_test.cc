// SPDX-License-Identifier: Apache-2.0
// Of two learners the one that registered first is refused, whatever is killed in between.
#include "services/branch_scheduler/run/learner_fence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::HasSubstr;

BatchRequest RequestWith(uint64_t epoch) {
  BatchRequest request = RequestOf(0, 0);
  request.learner_epoch = epoch;
  return request;
}

absl::Status Await(Scheduler& scheduler, uint64_t epoch) {
  std::string reason;
  return scheduler.AwaitBatch(RequestWith(epoch), absl::ZeroDuration(), &reason).status();
}

absl::Status Commit(Scheduler& scheduler, uint64_t epoch) {
  BatchCommit commit = CommitOf(0, Digest(1));
  commit.learner_epoch = epoch;
  return scheduler.Commit(commit).status();
}

void ExpectFenced(const absl::Status& status, const std::string& by) {
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("another learner, " + by + ", has taken over"));
}

// A run whose first batch can be committed.
class LearnerFenceTest : public ::testing::Test {
 protected:
  LearnerFenceTest() : run_(SimulationOptions{}) {
    EXPECT_TRUE(run_.Start().ok());
    run_.learner_absent = true;
  }
  void SampleFirstBatch(uint64_t epoch) {
    ASSERT_TRUE(run_.scheduler().Announce(RequestWith(epoch)).ok());
    for (int round = 0; round < 20; ++round) run_.Tick();
  }
  Simulation run_;
};

TEST_F(LearnerFenceTest, OnlyTheNewestLearnerMayAskAndCommit) {
  ASSERT_EQ(*run_.scheduler().RegisterLearner("older"), 1u);
  SampleFirstBatch(1);
  ASSERT_EQ(*run_.scheduler().RegisterLearner("newer"), 2u);
  ExpectFenced(run_.scheduler().Announce(RequestWith(1)), "newer");
  ExpectFenced(Await(run_.scheduler(), 1), "newer");
  ExpectFenced(Commit(run_.scheduler(), 1), "newer");
  EXPECT_EQ(run_.scheduler().Status().steps_done, 0u);
  EXPECT_TRUE(run_.scheduler().Announce(RequestWith(2)).ok());
  EXPECT_TRUE(Await(run_.scheduler(), 2).ok());
  EXPECT_TRUE(Commit(run_.scheduler(), 2).ok());
  EXPECT_EQ(run_.scheduler().Status().steps_done, 1u);
  ExpectFenced(Commit(run_.scheduler(), 1), "newer");  // committed already: refused all the same
}

TEST_F(LearnerFenceTest, AKillOfTheSchedulerForgetsNoEpoch) {
  ASSERT_EQ(*run_.scheduler().RegisterLearner("older"), 1u);
  ASSERT_EQ(*run_.scheduler().RegisterLearner("newer"), 2u);
  run_.Kill();
  ASSERT_TRUE(run_.Start().ok());
  ExpectFenced(run_.scheduler().Announce(RequestWith(1)), "newer");
  EXPECT_TRUE(run_.scheduler().Announce(RequestWith(2)).ok());
  EXPECT_EQ(*run_.scheduler().RegisterLearner("third"), 3u);
}

TEST_F(LearnerFenceTest, ALearnerThatRegistersAgainKeepsItsEpoch) {
  ASSERT_EQ(*run_.scheduler().RegisterLearner("learner"), 1u);
  EXPECT_EQ(*run_.scheduler().RegisterLearner("learner"), 1u);
  run_.Kill();
  ASSERT_TRUE(run_.Start().ok());
  EXPECT_EQ(*run_.scheduler().RegisterLearner("learner"), 1u);
}

TEST_F(LearnerFenceTest, WithoutAnEpochALearnerIsTheOldest) {
  SampleFirstBatch(0);
  ASSERT_EQ(*run_.scheduler().RegisterLearner("newer"), 1u);
  ExpectFenced(Commit(run_.scheduler(), 0), "newer");
}

TEST_F(LearnerFenceTest, AnEpochThatWasNotHandedOutIsRefused) {
  const absl::Status status = run_.scheduler().Announce(RequestWith(3));
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_THAT(status.message(), HasSubstr("has the epoch 3, the newest of this database is 0"));
}

TEST_F(LearnerFenceTest, OneThatWasReplacedStandsByUnderANewNameWhileItsSuccessorLives) {
  ASSERT_EQ(*run_.scheduler().RegisterLearner("older", "node 1"), 1u);
  run_.clock().Advance(Scheduler::kLearnerSilence);
  ASSERT_EQ(*run_.scheduler().RegisterLearner("newer", "node 2"), 2u) << "the older one is silent";
  // The older one goes on, is refused, and is started again where it was.
  ExpectFenced(run_.scheduler().LearnerLives(1), "newer");
  for (int i = 0; i < 10; ++i) {
    run_.clock().Advance(Scheduler::kLearnerSilence / 2);
    const auto refused = run_.scheduler().RegisterLearner("older, again", "node 1");
    EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr("the learner newer is at work; this one stands by"));
    EXPECT_TRUE(run_.scheduler().LearnerLives(2).ok());
  }
  run_.clock().Advance(Scheduler::kLearnerSilence);
  EXPECT_EQ(*run_.scheduler().RegisterLearner("older, again", "node 1"), 3u);
}

TEST_F(LearnerFenceTest, OneThatIsStartedAgainInItsPlaceNeedNotWait) {
  ASSERT_EQ(*run_.scheduler().RegisterLearner("first", "node 1"), 1u);
  EXPECT_EQ(*run_.scheduler().RegisterLearner("second", "node 1"), 2u);
  run_.Kill();
  ASSERT_TRUE(run_.Start().ok());
  EXPECT_EQ(*run_.scheduler().RegisterLearner("third", "node 1"), 3u);
}

TEST_F(LearnerFenceTest, ASchedulerThatStartsAgainGivesTheLearnerItsTime) {
  ASSERT_EQ(*run_.scheduler().RegisterLearner("first", "node 1"), 1u);
  run_.clock().Advance(absl::Hours(1));
  run_.Kill();
  ASSERT_TRUE(run_.Start().ok());
  EXPECT_FALSE(run_.scheduler().RegisterLearner("second", "node 2").ok());
  run_.clock().Advance(Scheduler::kLearnerSilence);
  EXPECT_EQ(*run_.scheduler().RegisterLearner("second", "node 2"), 2u);
}

TEST_F(LearnerFenceTest, ANameHasOneByteTo256) {
  for (const std::string& name : {std::string(), std::string(257, 'x')}) {
    const auto refused = run_.scheduler().RegisterLearner(name);
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
    EXPECT_THAT(refused.status().message(), HasSubstr("learner: a name of"));
  }
  EXPECT_FALSE(run_.scheduler().RegisterLearner(std::string("a\0b", 3)).ok());
  EXPECT_FALSE(run_.scheduler().RegisterLearner("a", std::string(257, 'x')).ok());
  EXPECT_EQ(*run_.scheduler().RegisterLearner(std::string(256, 'x')), 1u);
}

}  // namespace
}  // namespace attnrl::scheduler::testing
