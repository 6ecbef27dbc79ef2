// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/stepper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

#include "services/rollout_worker/testing/fake_step_runner.h"
#include "services/rollout_worker/testing/requests.h"

namespace attnrl::rollout {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kMaxTokens = 64;

class StepperTest : public ::testing::Test {
 protected:
  static constexpr int64_t kSlots = 4;
  static constexpr int64_t kBlocks = 40;

  StepperTest() {
    for (uint32_t version = 0; version < 3; ++version) {
      stepper_.SetWeights(version, FakeStepRunner::Weights(version + 10));
    }
  }

  absl::Status Submit(Request request) {
    return stepper_.Submit(std::move(request), [this](Completion completion) {
      const uint64_t id = completion.id;
      EXPECT_TRUE(done_.emplace(id, std::move(completion)).second) << "completed twice";
    });
  }
  void RunAll() {
    while (stepper_.Step()) {
    }
  }

  FakeStepRunner runner_{kBlocks, kVocabulary};
  FakeClock clock_;
  Stepper stepper_{
      {.slots = kSlots, .max_tokens = kMaxTokens, .max_waiting = 100}, runner_, clock_};
  std::map<uint64_t, Completion> done_;
};

TEST_F(StepperTest, SamplesExactlyTheTokensAskedFor) {
  ASSERT_TRUE(Submit(MakeRequest(1)).ok());
  RunAll();
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_EQ(done_[1].token_ids, Naive(MakeRequest(1), 10).token_ids);
  EXPECT_EQ(done_[1].finish, FinishReason::kLength);
  EXPECT_EQ(done_[1].prefill_tokens, 3);
  EXPECT_EQ(stepper_.running(), 0);
}

TEST_F(StepperTest, AWallClockThatIsSetBackDoesNotTurnASpanRound) {
  const absl::Time start = clock_.Now();
  ASSERT_TRUE(Submit(MakeRequest(1)).ok());
  ASSERT_TRUE(stepper_.Step());
  clock_.Advance(absl::Seconds(2));
  clock_.Jump(-absl::Hours(1));
  RunAll();
  EXPECT_EQ(done_[1].start, start);
  EXPECT_EQ(done_[1].end, start + absl::Seconds(2));
}

TEST_F(StepperTest, EndsWithTheStopTokenAndKeepsIt) {
  Request request = MakeRequest(1, {4}, 60);
  request.stop_ids = {Naive(request, 10).token_ids[3]};
  const std::vector<int32_t> expected = Naive(request, 10).token_ids;
  ASSERT_TRUE(Submit(request).ok());
  RunAll();
  EXPECT_EQ(done_[1].token_ids, expected);
  EXPECT_EQ(done_[1].token_ids.back(), request.stop_ids[0]);
  EXPECT_EQ(done_[1].finish, FinishReason::kStop);
}

TEST_F(StepperTest, AStopOnTheLastTokenIsAStop) {
  Request request = MakeRequest(1, {4}, 4);
  request.stop_ids = {Naive(request, 10).token_ids[3]};
  request.max_new_tokens = static_cast<int64_t>(Naive(request, 10).token_ids.size());
  ASSERT_TRUE(Submit(request).ok());
  RunAll();
  EXPECT_EQ(done_[1].finish, FinishReason::kStop);
}

TEST_F(StepperTest, AsksTheCallerWhetherAResponseHasEnded) {
  Request request = MakeRequest(1, {4}, 60);
  request.stop_when = [](const std::vector<int32_t>& tokens) { return tokens.size() == 7; };
  ASSERT_TRUE(Submit(request).ok());
  RunAll();
  EXPECT_EQ(done_[1].token_ids.size(), 7u);
  EXPECT_EQ(done_[1].finish, FinishReason::kStop);
}

TEST_F(StepperTest, AContinuationDrawsTheTokensOfItsPlaceInTheResponse) {
  // The whole response, and the same one continued from its third token, with the same key.
  ASSERT_TRUE(Submit(MakeRequest(1)).ok());
  RunAll();
  Request request = MakeRequest(2);
  request.key = MakeRequest(1).key;
  for (size_t i = 0; i < 2; ++i) request.prompt_ids.push_back(done_[1].token_ids[i]);
  request.first_index = 2;
  request.max_new_tokens = 3;
  ASSERT_TRUE(Submit(request).ok());
  RunAll();
  EXPECT_THAT(done_[2].token_ids,
              ElementsAre(done_[1].token_ids[2], done_[1].token_ids[3], done_[1].token_ids[4]));
}

TEST_F(StepperTest, ComputesASharedPromptOnce) {
  for (uint64_t id = 1; id <= 6; ++id) {
    Request request = MakeRequest(id, Text(40), 3);
    request.shared = {{{7}, 40}};
    ASSERT_TRUE(Submit(request).ok());
  }
  ASSERT_TRUE(stepper_.Step());
  // The text, then its last token by each of those that run.
  EXPECT_EQ(runner_.rows(), 39 + kSlots);
  EXPECT_EQ(stepper_.pool().used(), 2 + kSlots) << "stored once; each has a block of its own";
  RunAll();
  int64_t computed = 0;
  for (uint64_t id = 1; id <= 6; ++id) {
    EXPECT_EQ(done_[id].token_ids, Naive(MakeRequest(id, Text(40), 3), 10).token_ids);
    EXPECT_EQ(done_[id].prefill_tokens + done_[id].reused_tokens, 40);
    computed += done_[id].prefill_tokens;
  }
  EXPECT_EQ(computed, 39 + 6);
  EXPECT_EQ(runner_.rows(), 39 + 6 + 6 * 2);
}

// Four children at each of two points of a response, as the scheduler asks for them.
TEST_F(StepperTest, ComputesAResponseOnceForTheChildrenOfTwoPoints) {
  std::map<uint64_t, Request> requests;
  for (uint64_t id = 1; id <= 8; ++id) {
    const int64_t split = id <= 4 ? 30 : 45;
    Request request = MakeRequest(id, Text(static_cast<size_t>(split)), 3);
    request.shared = {{{7}, 20}, {{7, 1}, split}};
    requests[id] = request;
    ASSERT_TRUE(Submit(request).ok());
  }
  RunAll();
  for (const auto& [id, request] : requests) {
    EXPECT_EQ(done_[id].token_ids, Naive(request, 10).token_ids) << id;
  }
  EXPECT_EQ(runner_.rows(), 44 + 8 + 8 * 2);
}

TEST_F(StepperTest, ContinuesAResponseThatItHasSampledWithoutComputingItAgain) {
  Request first = MakeRequest(1, Text(20), 30);
  first.shared = {{{7}, 20}};
  first.becomes = {{7, 1}};
  ASSERT_TRUE(Submit(first).ok());
  RunAll();
  const int64_t before = runner_.rows();
  Request rest = MakeRequest(2, Text(20), 4);
  rest.prompt_ids.insert(rest.prompt_ids.end(), done_[1].token_ids.begin(),
                         done_[1].token_ids.begin() + 17);
  rest.shared = {{{7}, 20}, {{7, 1}, 37}};
  ASSERT_TRUE(Submit(rest).ok());
  RunAll();
  EXPECT_EQ(done_[2].token_ids, Naive(rest, 10).token_ids);
  EXPECT_EQ(runner_.rows() - before, 4) << "one for each token";
  EXPECT_EQ(done_[2].reused_tokens, 36);
}

TEST_F(StepperTest, ATextOfTheSameNameAndOtherTokensIsNotShared) {
  Request request = MakeRequest(1, Text(20), 3);
  request.shared = {{{7}, 20}};
  ASSERT_TRUE(Submit(request).ok());
  request.id = 2;
  request.prompt_ids[4] = 0;
  ASSERT_TRUE(Submit(request).ok());
  RunAll();
  EXPECT_EQ(done_[1].token_ids, Naive(MakeRequest(1, Text(20), 3), 10).token_ids);
  EXPECT_EQ(done_[2].token_ids, Naive(request, 10).token_ids);
}

TEST_F(StepperTest, SharesNothingBetweenVersions) {
  Request older = MakeRequest(1, Text(40));
  older.shared = {{{7}, 40}};
  Request newer = older;
  newer.id = 2;
  newer.version = 1;
  ASSERT_TRUE(Submit(older).ok());
  ASSERT_TRUE(Submit(newer).ok());
  RunAll();
  EXPECT_EQ(done_[2].token_ids, Naive(newer, 11).token_ids);
  EXPECT_EQ(done_[2].reused_tokens, 0);
}

TEST_F(StepperTest, CutsALongPromptWhileOthersDecode) {
  FakeStepRunner runner(kBlocks, kVocabulary);
  Stepper stepper({.slots = 4, .max_tokens = 400, .max_step_rows = 16}, runner, clock_);
  stepper.SetWeights(0, FakeStepRunner::Weights(10));
  std::map<uint64_t, Completion> done;
  const auto keep = [&](Completion completion) { done[completion.id] = std::move(completion); };
  ASSERT_TRUE(stepper.Submit(MakeRequest(1, Text(3), 30), keep).ok());
  ASSERT_TRUE(stepper.Step());
  EXPECT_EQ(stepper.report().attended, 1 + 2 + 3);
  ASSERT_TRUE(stepper.Submit(MakeRequest(2, Text(200), 30), keep).ok());
  for (int step = 0; step < 10; ++step) {
    ASSERT_TRUE(stepper.Step());
    EXPECT_EQ(stepper.report().decode_rows, 1) << "the short one goes on";
    EXPECT_EQ(stepper.report().prefill_rows, 15);
    // The short one sees itself too, and so does each row of the long one.
    EXPECT_EQ(stepper.report().attended, (4 + step) + 15 * 15 * step + 15 * 16 / 2);
  }
  while (stepper.Step()) {
  }
  EXPECT_LE(runner.largest_run(), 16);
  EXPECT_EQ(done[2].token_ids, Naive(MakeRequest(2, Text(200), 30), 10).token_ids);
  EXPECT_EQ(done[1].token_ids, Naive(MakeRequest(1, Text(3), 30), 10).token_ids);
}

TEST_F(StepperTest, WithoutRoomTheLastOneWaitsAndGoesOnWhereItWas) {
  FakeStepRunner runner(6, kVocabulary);
  Stepper stepper({.slots = 4, .max_tokens = 150}, runner, clock_);
  stepper.SetWeights(0, FakeStepRunner::Weights(10));
  std::map<uint64_t, Completion> done;
  for (uint64_t id = 1; id <= 4; ++id) {
    Request request = MakeRequest(id, Text(20), 100);
    request.shared = {{{7}, 20}};
    ASSERT_TRUE(
        stepper
            .Submit(request,
                    [&](Completion completion) { done[completion.id] = std::move(completion); })
            .ok());
  }
  int64_t preempted = 0;
  while (stepper.Step()) preempted += stepper.report().preempted;
  EXPECT_GT(preempted, 0);
  for (uint64_t id = 1; id <= 4; ++id) {
    const Completion expected = Naive(MakeRequest(id, Text(20), 100), 10);
    EXPECT_EQ(done[id].token_ids, expected.token_ids) << id;
    EXPECT_EQ(done[id].logprobs, expected.logprobs) << id;
  }
}

// Where one runs that fills half of the cache, one that needs more than the other half waits.
TEST(StepperAdmission, SmallerOnesPassWhatFindsNoRoomButNotForEver) {
  const FakeClock clock;
  FakeStepRunner runner(12, kVocabulary);
  Stepper stepper({.slots = 4, .max_tokens = 400}, runner, clock);
  stepper.SetWeights(0, FakeStepRunner::Weights(10));
  std::vector<uint64_t> order;
  const auto submit = [&](uint64_t id, size_t prompt, int64_t tokens) {
    ASSERT_TRUE(stepper
                    .Submit(MakeRequest(id, Text(prompt), tokens),
                            [&order](const Completion& completion) {
                              EXPECT_TRUE(completion.status.ok()) << completion.status;
                              order.push_back(completion.id);
                            })
                    .ok());
  };
  submit(1000, 130, 90);
  ASSERT_TRUE(stepper.Step());
  submit(2000, 250, 100);
  for (uint64_t small = 1; small <= 60; ++small) submit(small, 3, 2);
  while (stepper.Step()) {
    ASSERT_EQ(stepper.pool().used(), stepper.ReachableBlocks());
  }
  ASSERT_EQ(order.size(), 62u);
  const auto first = std::find(order.begin(), order.end(), 1000u);
  EXPECT_EQ(first - order.begin(), 32) << "so many pass it, then its room is kept";
}

// The response is kept whole, of which the continuation needs a few tokens.
TEST_F(StepperTest, WhatFitsAloneRunsThoughWhatItSharesLeavesNoRoom) {
  FakeStepRunner runner(8, kVocabulary);
  Stepper stepper({.slots = 4, .max_tokens = 150}, runner, clock_);
  stepper.SetWeights(0, FakeStepRunner::Weights(10));
  std::map<uint64_t, Completion> done;
  const auto keep = [&](Completion completion) { done[completion.id] = std::move(completion); };
  Request first = MakeRequest(1, Text(20), 128);
  first.shared = {{{7}, 20}};
  first.becomes = {{7, 1}};
  ASSERT_TRUE(stepper.Submit(first, keep).ok());
  while (stepper.Step()) {
  }
  Request rest = MakeRequest(2, Text(20), 125);
  rest.prompt_ids.insert(rest.prompt_ids.end(), done[1].token_ids.begin(),
                         done[1].token_ids.begin() + 3);
  rest.shared = {{{7}, 20}, {{7, 1}, 23}};
  ASSERT_TRUE(stepper.Submit(rest, keep).ok());
  while (stepper.Step()) {
  }
  ASSERT_TRUE(done[2].status.ok()) << done[2].status;
  EXPECT_EQ(done[2].token_ids, Naive(rest, 10).token_ids);
}

TEST_F(StepperTest, RefusesAtOnceWhatTheCacheCanNeverHold) {
  FakeStepRunner runner(3, kVocabulary);
  Stepper stepper({.slots = 4, .max_tokens = 1000}, runner, clock_);
  const absl::Status status = stepper.Submit(MakeRequest(1, Text(20), 100), [](Completion) {});
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(),
            "a sequence of 120 tokens takes 5 blocks of the KV cache, which has 3");
}

TEST_F(StepperTest, ScoresTheStepsOfWhatHasEndedUnderItsOwnWeights) {
  Request scored = MakeRequest(1);
  scored.score_delta = 4;
  scored.version = 2;
  ASSERT_TRUE(Submit(scored).ok());
  ASSERT_TRUE(Submit(MakeRequest(2)).ok());
  RunAll();
  const Completion& done = done_[1];
  ASSERT_EQ(done.scores.fci.size(), done.token_ids.size() + 1);
  EXPECT_EQ(done.scores.ends.back(), 3 + done.token_ids.size());
  EXPECT_EQ(done.scores.fci[2], FakeScore(12, done.token_ids[1], 1));
  EXPECT_TRUE(done_[2].scores.fci.empty());
}

TEST_F(StepperTest, RefusesRequestsThatCanNeverRun) {
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(MakeRequest(1, {}))));
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(MakeRequest(1, {1}, 0))));
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(MakeRequest(1, {1}, kMaxTokens))));
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(MakeRequest(1, {kVocabulary}))));
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(MakeRequest(1, {-1}))));
  Request request = MakeRequest(1);
  request.sampling.top_p = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(request)));
  request = MakeRequest(1);
  // With the last one every weight would be that of 0 times infinity.
  for (const double temperature : {-1.0, std::numeric_limits<double>::infinity(), 1e-40}) {
    request.sampling.temperature = temperature;
    EXPECT_TRUE(absl::IsInvalidArgument(Submit(request))) << temperature;
  }
  request.id = 2;
  request.sampling.temperature = static_cast<double>(1e-6F);
  EXPECT_TRUE(Submit(request).ok());
  EXPECT_TRUE(Submit(MakeRequest(1, {1}, kMaxTokens - 1)).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Submit(MakeRequest(1))));
  EXPECT_TRUE(done_.empty());
}

TEST_F(StepperTest, ShedsWhatExceedsItsQueue) {
  for (uint64_t id = 0; id < 100; ++id) ASSERT_TRUE(Submit(MakeRequest(id)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Submit(MakeRequest(100))));
}

TEST_F(StepperTest, RunsTwoVersionsSideBySideTheOlderFirst) {
  Request newer = MakeRequest(2);
  newer.version = 1;
  Request newest = MakeRequest(3);
  newest.version = 2;
  ASSERT_TRUE(Submit(newest).ok());
  ASSERT_TRUE(Submit(newer).ok());
  ASSERT_TRUE(Submit(MakeRequest(1)).ok());
  ASSERT_TRUE(stepper_.Step());
  EXPECT_THAT(runner_.weights_run(), ElementsAre(10, 11)) << "the third version waits";
  EXPECT_EQ(stepper_.running(), 2);
  RunAll();
  EXPECT_EQ(done_[1].token_ids, Naive(MakeRequest(1), 10).token_ids);
  EXPECT_EQ(done_[2].token_ids, Naive(newer, 11).token_ids);
  EXPECT_EQ(done_[3].token_ids, Naive(newest, 12).token_ids);
}

TEST_F(StepperTest, WaitsForWeightsThatAreNotThereYet) {
  Request request = MakeRequest(1);
  request.version = 7;
  ASSERT_TRUE(Submit(request).ok());
  EXPECT_FALSE(stepper_.Step());
  stepper_.SetWeights(7, FakeStepRunner::Weights(77));
  RunAll();
  EXPECT_EQ(done_[1].token_ids, Naive(request, 77).token_ids);
}

TEST_F(StepperTest, ReplacedWeightsNeverTouchSequencesInSlots) {
  ASSERT_TRUE(Submit(MakeRequest(1)).ok());
  ASSERT_TRUE(stepper_.Step());
  stepper_.SetWeights(0, FakeStepRunner::Weights(99));
  ASSERT_TRUE(Submit(MakeRequest(2)).ok());
  RunAll();
  EXPECT_EQ(done_[1].token_ids, Naive(MakeRequest(1), 10).token_ids);
  EXPECT_EQ(done_[2].token_ids, Naive(MakeRequest(2), 99).token_ids);
}

TEST_F(StepperTest, AFailedStepEndsItsSequencesAndFreesTheirBlocks) {
  ASSERT_TRUE(Submit(MakeRequest(1)).ok());
  runner_.FailNext(absl::InternalError("out of memory"));
  ASSERT_TRUE(stepper_.Step());
  EXPECT_EQ(done_[1].status.message(), "out of memory");
  EXPECT_EQ(stepper_.running(), 0);
  EXPECT_EQ(stepper_.pool().used(), 0);
  ASSERT_TRUE(Submit(MakeRequest(2)).ok());
  RunAll();
  EXPECT_TRUE(done_[2].status.ok());
}

}  // namespace
}  // namespace attnrl::rollout
