// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/worker_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace attnrl::scheduler {
namespace {

// The status with which the stream ends, once nothing is waiting.
std::optional<absl::Status> EndOf(WorkerSession& session) {
  std::optional<absl::Status> over;
  EXPECT_FALSE(session.Next(&over).has_value());
  return over;
}

uint64_t LeaseOfNext(WorkerSession& session) {
  std::optional<absl::Status> over;
  const auto message = session.Next(&over);
  EXPECT_TRUE(message.has_value());
  EXPECT_FALSE(over.has_value()) << "while something is waiting";
  return message ? Number(std::get<Ack>(*message).lease) : 0;
}

TEST(WorkerSession, GivesMessagesInTheirOrder) {
  WorkerSession session("w", 7);
  EXPECT_EQ(session.worker(), "w");
  EXPECT_EQ(session.connection(), 7u);
  EXPECT_EQ(EndOf(session), std::nullopt);
  for (uint64_t lease = 1; lease <= 3; ++lease) session.Push(Ack{LeaseId{lease}});
  for (uint64_t lease = 1; lease <= 3; ++lease) EXPECT_EQ(LeaseOfNext(session), lease);
  EXPECT_EQ(EndOf(session), std::nullopt);
}

TEST(WorkerSession, SendsWhatIsWaitingBeforeItEndsAndNothingAfter) {
  WorkerSession session("w", 7);
  session.Push(Ack{LeaseId{1}});
  session.End(absl::UnavailableError("first"));
  session.Push(Ack{LeaseId{2}});
  session.End(absl::InternalError("second"));
  EXPECT_EQ(LeaseOfNext(session), 1u);
  EXPECT_EQ(EndOf(session), absl::UnavailableError("first"));
  EXPECT_EQ(EndOf(session), absl::UnavailableError("first")) << "as often as it is asked";
}

TEST(WorkerSession, EndsTheStreamOfAWorkerThatIsAnsweredAndDoesNotRead) {
  WorkerSession session("w", 7);
  const Cancel cancel{std::vector<LeaseId>(4096)};
  int64_t bytes = 0;
  for (; bytes <= WorkerSession::kMaxBytes && !session.ended();
       bytes += static_cast<int64_t>(MemoryOf(SchedulerMessage(cancel)))) {
    session.Push(cancel);
  }
  EXPECT_TRUE(session.ended());
  const auto over = EndOf(session);
  ASSERT_TRUE(over.has_value());
  EXPECT_EQ(over->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(over->message()), ::testing::HasSubstr("worker w doesn't read: "));
  session.Push(cancel);
  EXPECT_EQ(EndOf(session), over) << "nothing waits any more";
}

TEST(WorkerSession, EndsTheStreamOfAWorkerThatTakesNoneOfItsLeases) {
  WorkerSession session("w", 7);
  for (int64_t i = 0; i < int64_t{kMaxLeasesOfWorker}; ++i) session.Push(Lease{});
  EXPECT_FALSE(session.ended()) << "it may hold so many";
  session.Push(Lease{});
  EXPECT_TRUE(session.ended());
}

TEST(WorkerSession, AWorkerThatReadsMaySendForEver) {
  WorkerSession session("w", 7);
  const Cancel cancel{std::vector<LeaseId>(4096)};
  std::optional<absl::Status> over;
  for (int i = 0; i < 10'000; ++i) {
    session.Push(cancel);
    session.Push(Lease{});
    ASSERT_TRUE(session.Next(&over).has_value());
    ASSERT_TRUE(session.Next(&over).has_value());
  }
  EXPECT_FALSE(session.ended());
}

TEST(WorkerSession, AnOkEndIsAnEnd) {
  WorkerSession session("w", 7);
  session.End(absl::OkStatus());
  EXPECT_EQ(EndOf(session), absl::OkStatus());
}

TEST(WorkerSession, WakesItsWriterForAMessageAfterNoneAndForTheEnd) {
  WorkerSession session("w", 7);
  int woken = 0;
  session.WakeWith([&woken] { ++woken; });
  EXPECT_EQ(woken, 0);
  session.Push(Ack{LeaseId{1}});
  session.Push(Ack{LeaseId{2}});
  EXPECT_EQ(woken, 1) << "the writer takes both";
  EXPECT_EQ(LeaseOfNext(session), 1u);
  EXPECT_EQ(LeaseOfNext(session), 2u);
  session.Push(Ack{LeaseId{3}});
  EXPECT_EQ(woken, 2);
  EXPECT_FALSE(session.ended());
  session.End(absl::UnavailableError("over"));
  EXPECT_TRUE(session.ended());
  EXPECT_EQ(woken, 3);
}

TEST(WorkerSession, WakesAtOnceForWhatIsWaitingAndNotAfterwards) {
  WorkerSession session("w", 7);
  session.Push(Ack{LeaseId{1}});
  int woken = 0;
  session.WakeWith([&woken] { ++woken; });
  EXPECT_EQ(woken, 1);
  session.WakeWith(nullptr);
  session.End(absl::OkStatus());
  EXPECT_EQ(woken, 1);
}

}  // namespace
}  // namespace attnrl::scheduler
