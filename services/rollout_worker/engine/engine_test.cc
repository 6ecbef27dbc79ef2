// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <utility>

#include "absl/synchronization/notification.h"
#include "services/rollout_worker/testing/fake_step_runner.h"

namespace attnrl::rollout {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(20);

Request MakeRequest(uint64_t id, int64_t tokens) {
  Request request;
  request.id = id;
  request.prompt_ids = {1, 2};
  request.max_new_tokens = tokens;
  return request;
}

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() {
    EngineOptions options;
    options.stepper = {.slots = 2, .max_tokens = 1 << 20};
    options.observe = [this](const StepReport&) { ++steps_; };
    engine_ = Engine::Start(std::move(options), std::make_unique<FakeStepRunner>(1 << 16, 8));
    engine_->SetWeights(0, FakeStepRunner::Weights(1));
  }

  // Submits and waits for the end.
  Completion Sample(Request request) {
    Completion result;
    absl::Notification done;
    engine_->Submit(std::move(request), [&](Completion completion) {
      result = std::move(completion);
      done.Notify();
    });
    EXPECT_TRUE(done.WaitForNotificationWithTimeout(kLimit));
    return result;
  }

  std::atomic<int> steps_ = 0;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, CompletesEveryRequestOnce) {
  std::atomic<int> completed = 0;
  absl::Notification done;
  for (uint64_t id = 0; id < 50; ++id) {
    engine_->Submit(MakeRequest(id, 1 + static_cast<int64_t>(id % 7)),
                    [&](const Completion& completion) {
                      EXPECT_TRUE(completion.status.ok());
                      if (++completed == 50) done.Notify();
                    });
  }
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLimit));
  engine_->Stop();
  EXPECT_EQ(completed, 50);
  EXPECT_EQ(engine_->stats().prefill_tokens, 100);
}

TEST_F(EngineTest, TellsTheCallerWhatItRefuses) {
  EXPECT_TRUE(absl::IsInvalidArgument(Sample(MakeRequest(1, 0)).status));
}

TEST_F(EngineTest, AnAbortEndsALongSequence) {
  absl::Notification done;
  size_t sampled = 0;
  absl::Notification running;
  Request request = MakeRequest(1, 1 << 19);
  request.stop_when = [&](const std::vector<int32_t>& tokens) {
    if (tokens.size() == 3) running.Notify();
    return false;
  };
  engine_->Submit(std::move(request), [&](const Completion& completion) {
    EXPECT_TRUE(absl::IsCancelled(completion.status));
    sampled = completion.token_ids.size();
    done.Notify();
  });
  ASSERT_TRUE(running.WaitForNotificationWithTimeout(kLimit));
  engine_->Abort(1);
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLimit));
  EXPECT_GE(sampled, 3u) << "what was sampled up to there";
}

TEST_F(EngineTest, APausedEngineTakesNoStep) {
  engine_->Pause();
  EXPECT_TRUE(absl::IsInvalidArgument(Sample(MakeRequest(7, 0)).status));  // the pause is in force
  const int before = steps_;
  absl::Notification done;
  engine_->Submit(MakeRequest(1, 3), [&](const Completion&) { done.Notify(); });
  EXPECT_TRUE(absl::IsInvalidArgument(Sample(MakeRequest(8, 0)).status));
  EXPECT_EQ(steps_, before);
  EXPECT_FALSE(done.HasBeenNotified());
  engine_->Resume();
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kLimit));
}

TEST_F(EngineTest, StopCancelsWhatIsLeft) {
  int cancelled = 0;
  for (uint64_t id = 0; id < 5; ++id) {
    engine_->Submit(MakeRequest(id, 1 << 19), [&](const Completion& completion) {
      cancelled += absl::IsCancelled(completion.status) ? 1 : 0;
    });
  }
  engine_->Stop();
  EXPECT_EQ(cancelled, 5);
  EXPECT_TRUE(absl::IsCancelled(Sample(MakeRequest(9, 1)).status));
}

}  // namespace
}  // namespace attnrl::rollout
