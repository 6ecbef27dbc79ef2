// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/stepper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "services/rollout_worker/testing/fake_step_runner.h"

namespace attnrl::rollout {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kVocabulary = 12;
constexpr int64_t kMaxTokens = 64;

Request MakeRequest(uint64_t id, std::vector<int32_t> prompt = {1, 2, 3}, int64_t tokens = 5) {
  Request request;
  request.id = id;
  request.prompt_ids = std::move(prompt);
  request.max_new_tokens = tokens;
  request.key = {.seed = 1, .purpose = kSampleToken, .node = static_cast<uint32_t>(id)};
  return request;
}

// What a request must give, computed one sequence at a time without cache or batch.
Completion Naive(const Request& request, uint64_t weights) {
  Completion expected;
  Sampler sampler;
  std::vector<int64_t> tokens(request.prompt_ids.begin(), request.prompt_ids.end());
  while (static_cast<int64_t>(expected.token_ids.size()) < request.max_new_tokens) {
    const uint32_t index = request.first_index + static_cast<uint32_t>(expected.token_ids.size());
    const auto token = sampler.Sample(FakeLogits(weights, tokens, kVocabulary), request.sampling,
                                      request.key, index);
    expected.token_ids.push_back(token->id);
    expected.logprobs.push_back(token->logprob);
    expected.entropy.push_back(token->entropy);
    tokens.push_back(token->id);
    if (!request.stop_ids.empty() && token->id == request.stop_ids[0]) {
      expected.finish = FinishReason::kStop;
      break;
    }
  }
  return expected;
}

class StepperTest : public ::testing::Test {
 protected:
  static constexpr int64_t kSlots = 4;

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

  FakeStepRunner runner_{kSlots, kVocabulary};
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

TEST_F(StepperTest, ComputesACommonBeginningOnce) {
  std::vector<int32_t> prompt(30);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>(i % 11);
  for (uint64_t id = 1; id <= 4; ++id) {
    std::vector<int32_t> mine = prompt;
    mine.resize(25 + id);  // continuations that part at different places
    ASSERT_TRUE(Submit(MakeRequest(id, mine, 3)).ok());
  }
  RunAll();
  int64_t computed = 0, reused = 0;
  for (uint64_t id = 1; id <= 4; ++id) {
    Request request = MakeRequest(id, prompt, 3);
    request.prompt_ids.resize(25 + id);
    EXPECT_EQ(done_[id].token_ids, Naive(request, 10).token_ids);
    EXPECT_EQ(done_[id].prefill_tokens + done_[id].reused_tokens, static_cast<int64_t>(25 + id));
    computed += done_[id].prefill_tokens;
    reused += done_[id].reused_tokens;
  }
  // The first one whole; each other one but for its last token.
  EXPECT_EQ(computed, 26 + 1 + 1 + 1);
  EXPECT_EQ(computed + reused, 26 + 27 + 28 + 29);
}

TEST_F(StepperTest, SharesNothingBetweenVersions) {
  const std::vector<int32_t> prompt(40, 3);
  Request newer = MakeRequest(2, prompt);
  newer.version = 1;
  ASSERT_TRUE(Submit(MakeRequest(1, prompt)).ok());
  ASSERT_TRUE(Submit(newer).ok());
  RunAll();
  EXPECT_EQ(done_[2].token_ids, Naive(newer, 11).token_ids);
  EXPECT_EQ(done_[2].reused_tokens, 0);
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
  EXPECT_TRUE(Submit(MakeRequest(1, {1}, kMaxTokens - 1)).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Submit(MakeRequest(1))));
  EXPECT_TRUE(done_.empty());
}

TEST_F(StepperTest, ShedsWhatExceedsItsQueue) {
  for (uint64_t id = 0; id < 100; ++id) ASSERT_TRUE(Submit(MakeRequest(id)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Submit(MakeRequest(100))));
}

TEST_F(StepperTest, SwitchesVersionsOnlyWithEmptySlots) {
  Request newer = MakeRequest(2);
  newer.version = 1;
  ASSERT_TRUE(Submit(MakeRequest(1)).ok());
  ASSERT_TRUE(stepper_.Step());
  ASSERT_TRUE(Submit(newer).ok());
  while (done_.find(1) == done_.end()) {
    EXPECT_EQ(runner_.weights(), 10u);
    EXPECT_EQ(stepper_.running(), 1);
    ASSERT_TRUE(stepper_.Step());
  }
  RunAll();
  EXPECT_EQ(runner_.weights(), 11u);
  EXPECT_EQ(done_[2].token_ids, Naive(newer, 11).token_ids);
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

TEST_F(StepperTest, AFailedStepEndsItsSequencesAndFreesTheirSlots) {
  ASSERT_TRUE(Submit(MakeRequest(1)).ok());
  runner_.FailNext(absl::InternalError("out of memory"));
  ASSERT_TRUE(stepper_.Step());
  EXPECT_EQ(done_[1].status.message(), "out of memory");
  EXPECT_EQ(stepper_.running(), 0);
  ASSERT_TRUE(Submit(MakeRequest(2)).ok());
  RunAll();
  EXPECT_TRUE(done_[2].status.ok());
}

// A long seeded mixture of submits, aborts and steps with three versions: every slot is accounted
// for after each step, and every finished sequence equals the one computed alone.
TEST_F(StepperTest, RandomUseEqualsTheNaiveModel) {
  RandomStream random({.seed = 42});
  std::map<uint64_t, Request> submitted;
  uint64_t next = 1;
  for (int action = 0; action < 3000; ++action) {
    const uint64_t kind = random.Below(10);
    if (kind < 3 && stepper_.waiting() < 100) {
      std::vector<int32_t> prompt(random.Below(2) * 18, 5);  // half of them begin alike
      for (uint64_t i = 0; i <= random.Below(12); ++i) {
        prompt.push_back(static_cast<int32_t>(random.Below(kVocabulary)));
      }
      Request request = MakeRequest(next, prompt, 1 + static_cast<int64_t>(random.Below(30)));
      request.version = static_cast<uint32_t>(random.Below(3));
      request.stop_ids = {0};
      submitted[next++] = request;
      ASSERT_TRUE(Submit(request).ok());
    } else if (kind == 3 && next > 1) {
      const uint64_t victim = 1 + random.Below(next - 1);
      const bool live = done_.find(victim) == done_.end();
      ASSERT_EQ(stepper_.Abort(victim), live);
      ASSERT_TRUE(done_.contains(victim));
    } else {
      stepper_.Step();
    }
    ASSERT_EQ(static_cast<uint64_t>(stepper_.waiting() + stepper_.running()) + done_.size(),
              submitted.size());
    ASSERT_EQ(stepper_.pool().used() + stepper_.pool().free(), kSlots);
  }
  RunAll();
  ASSERT_EQ(done_.size(), submitted.size());
  int finished = 0;
  for (const auto& [id, completion] : done_) {
    if (absl::IsCancelled(completion.status)) continue;
    ASSERT_TRUE(completion.status.ok()) << completion.status;
    const Completion expected = Naive(submitted[id], submitted[id].version + 10);
    ASSERT_EQ(completion.token_ids, expected.token_ids) << "request " << id;
    ASSERT_EQ(completion.logprobs, expected.logprobs);
    ASSERT_EQ(completion.entropy, expected.entropy);
    ASSERT_EQ(completion.finish, expected.finish);
    ++finished;
  }
  EXPECT_GT(finished, 300);
}

}  // namespace
}  // namespace attnrl::rollout
