// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/grading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace attnrl::scheduler {
namespace {

using verifier::GradeRequest;
using verifier::GradeResult;
using verifier::GradeStatus;

// Answers calls with what `answer` says about their requests; remembers them.
class ScriptedVerifier final : public verifier::VerifierClient {
 public:
  using Answer = std::function<absl::Status(const std::vector<GradeRequest>&)>;
  explicit ScriptedVerifier(Answer answer) : answer_(std::move(answer)) {}

  absl::StatusOr<std::vector<GradeResult>> Verify(const std::vector<GradeRequest>& requests,
                                                  absl::Duration deadline) override {
    sizes.push_back(requests.size());
    deadlines.push_back(deadline);
    const absl::Status status = answer_(requests);
    if (!status.ok()) return status;
    std::vector<GradeResult> results;
    for (const GradeRequest& request : requests) {
      results.push_back({request.id, GradeStatus::kGraded, true, "1", 0, 5});
    }
    return results;
  }
  void Cancel() override { cancelled.Notify(); }

  std::vector<size_t> sizes;
  std::vector<absl::Duration> deadlines;
  absl::Notification cancelled;

 private:
  const Answer answer_;
};

class GradingTest : public ::testing::Test {
 protected:
  // Item i has one response of one token, i.
  std::vector<GradeTask> Tasks(int count) {
    std::vector<GradeTask> tasks;
    for (int i = 0; i < count; ++i) {
      tasks.push_back(GradeTask{static_cast<ItemId>(i), {{i}}, &answers_});
    }
    return tasks;
  }
  GradingQueue Queue(GradingQueue::Options options, ScriptedVerifier* verifier) {
    return GradingQueue(
        options, verifier, [](const std::vector<int32_t>& ids) { return std::to_string(ids[0]); },
        &clock_, [this](GradedItem item) { graded_[item.item] = item.grades.at(0); });
  }
  static bool Holds(const std::vector<GradeRequest>& requests, const std::string& text) {
    return std::any_of(requests.begin(), requests.end(),
                       [&](const GradeRequest& request) { return request.response == text; });
  }

  const std::vector<std::string> answers_ = {"1"};
  FakeClock clock_;
  std::map<ItemId, Grade> graded_;
};

TEST_F(GradingTest, ACallThatTakesTooLongIsMadeAgainInHalves) {
  ScriptedVerifier verifier([](const std::vector<GradeRequest>& requests) {
    return requests.size() > 4 ? absl::DeadlineExceededError("too slow") : absl::OkStatus();
  });
  GradingQueue queue = Queue({.threads = 0}, &verifier);
  queue.Add(Tasks(16));
  EXPECT_TRUE(queue.RunOnce());
  EXPECT_EQ(verifier.sizes, (std::vector<size_t>{16, 8, 4, 4, 8, 4, 4}));
  ASSERT_EQ(graded_.size(), 16u);
  for (const auto& [item, grade] : graded_) EXPECT_TRUE(grade.correct);
}

// Keeps every call until so many are under way at once.
class CrowdedVerifier final : public verifier::VerifierClient {
 public:
  CrowdedVerifier(size_t servers, size_t crowd) : servers_(servers), crowd_(crowd) {}
  absl::StatusOr<std::vector<GradeResult>> Verify(const std::vector<GradeRequest>& requests,
                                                  absl::Duration) override {
    absl::MutexLock lock(&mutex_);
    most_ = std::max(most_, ++now_);
    auto enough = [this] { return most_ >= crowd_; };
    mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(30));
    --now_;
    std::vector<GradeResult> results;
    for (const GradeRequest& request : requests) {
      results.push_back({request.id, GradeStatus::kGraded, true, "1", 0, 5});
    }
    return results;
  }
  size_t servers() const override { return servers_; }
  void Cancel() override {}
  size_t most() const {
    absl::MutexLock lock(&mutex_);
    return most_;
  }

 private:
  const size_t servers_, crowd_;
  mutable absl::Mutex mutex_;
  size_t now_ = 0, most_ = 0;
};

TEST_F(GradingTest, TwoCallsAreUnderWayForEachVerifier) {
  for (const size_t servers : {1u, 3u, 1000u}) {
    const size_t most = std::min<size_t>(2 * servers, GradingQueue::kMaxThreads);
    CrowdedVerifier verifier(servers, most);
    absl::Mutex mutex;
    size_t graded = 0;
    {
      GradingQueue queue(
          {}, &verifier, [](const std::vector<int32_t>&) { return "1"; }, &clock_,
          [&](GradedItem) {
            absl::MutexLock lock(&mutex);
            ++graded;
          });
      queue.Add(Tasks(500));
      absl::MutexLock lock(&mutex);
      auto all = [&] { return graded == 500; };
      EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&all), absl::Seconds(30)));
    }
    EXPECT_EQ(verifier.most(), most);
  }
}

TEST_F(GradingTest, AResponseThatNoCallCanCarryIsGradedLimitAndTheOthersAsEver) {
  ScriptedVerifier verifier(
      [](const std::vector<GradeRequest>&) -> absl::Status { return absl::OkStatus(); });
  GradingQueue queue(
      {.threads = 0}, &verifier,
      [](const std::vector<int32_t>& ids) {
        return ids[0] == 5 ? std::string(verifier::kMaxBytesPerCall, 'x') : std::to_string(ids[0]);
      },
      &clock_, [this](GradedItem item) { graded_[item.item] = item.grades.at(0); });
  queue.Add(Tasks(8));
  EXPECT_TRUE(queue.RunOnce());
  EXPECT_EQ(verifier.sizes, (std::vector<size_t>{7}));
  ASSERT_EQ(graded_.size(), 8u);
  for (const auto& [item, grade] : graded_) {
    const bool large = item == ItemId{5};
    EXPECT_EQ(grade.status, large ? GradeStatus::kLimit : GradeStatus::kGraded) << Number(item);
    EXPECT_EQ(grade.correct, !large) << Number(item);
  }
}

TEST_F(GradingTest, AVerifierThatRefusesItsCallsGivesNobodyAGrade) {
  bool refuses = true;
  ScriptedVerifier verifier([&](const std::vector<GradeRequest>&) {
    return refuses ? absl::InvalidArgumentError("task: unknown") : absl::OkStatus();
  });
  GradingQueue queue = Queue({.threads = 0}, &verifier);
  queue.Add(Tasks(2));
  EXPECT_TRUE(queue.RunOnce());
  EXPECT_TRUE(graded_.empty());
  EXPECT_EQ(queue.waiting(), 2u);
  EXPECT_THAT(queue.trouble(), ::testing::HasSubstr("task: unknown"));
  refuses = false;
  EXPECT_TRUE(queue.RunOnce());
  EXPECT_EQ(graded_.size(), 2u);
}

TEST_F(GradingTest, ACallMayTakeAsLongAsTheGradersMayForEachResponseInIt) {
  ScriptedVerifier verifier(
      [](const std::vector<GradeRequest>&) -> absl::Status { return absl::OkStatus(); });
  for (const absl::Duration timeout : {absl::Seconds(1), absl::Seconds(4)}) {
    GradingQueue queue = Queue({.threads = 0, .grader_timeout = timeout}, &verifier);
    queue.Add(Tasks(32));
    EXPECT_TRUE(queue.RunOnce());
    EXPECT_GE(verifier.deadlines.back(), 32 * 3 * timeout);
    EXPECT_LT(verifier.deadlines.back(), absl::Minutes(10)) << "servers refuse more";
  }
}

TEST_F(GradingTest, AWallClockThatIsSetBackDoesNotTurnASpanRound) {
  ScriptedVerifier verifier([this](const std::vector<GradeRequest>& requests) -> absl::Status {
    clock_.Advance(absl::Seconds(2));
    clock_.Jump(-absl::Hours(1));
    return requests.size() > 1 ? absl::DeadlineExceededError("slow") : absl::OkStatus();
  });
  // Two responses, graded by one call each.
  std::vector<GradeTask> tasks = {GradeTask{ItemId{1}, {{1}, {2}}, &answers_}};
  Span span;
  GradingQueue queue(
      {.threads = 0}, &verifier,
      [](const std::vector<int32_t>& ids) { return std::to_string(ids[0]); }, &clock_,
      [&](const GradedItem& item) { span = item.span; });
  queue.Add(std::move(tasks));
  ASSERT_TRUE(queue.RunOnce());
  EXPECT_GT(span.start, 0);
  EXPECT_EQ(span.end - span.start, 4);
}

TEST_F(GradingTest, StopEndsACallThatNobodyAnswers) {
  absl::Notification called;
  ScriptedVerifier* self = nullptr;
  ScriptedVerifier verifier([&](const std::vector<GradeRequest>&) -> absl::Status {
    if (!called.HasBeenNotified()) called.Notify();
    // For ever, were it not for Cancel.
    EXPECT_TRUE(self->cancelled.WaitForNotificationWithTimeout(absl::Seconds(60)));
    return absl::CancelledError("cancelled");
  });
  self = &verifier;
  {
    GradingQueue queue = Queue({.threads = 1}, &verifier);
    queue.Add(Tasks(1));
    called.WaitForNotification();
    queue.Stop();
  }
  EXPECT_TRUE(graded_.empty());
}

}  // namespace
}  // namespace attnrl::scheduler
