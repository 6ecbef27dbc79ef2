// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/worker_session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace attnrl::scheduler {
namespace {

// The status with which the stream ends, once nothing is waiting.
std::optional<absl::Status> EndOf(WorkerSession& session) {
  std::optional<absl::Status> over;
  EXPECT_FALSE(session.Next(absl::ZeroDuration(), &over).has_value());
  return over;
}

uint64_t LeaseOfNext(WorkerSession& session) {
  std::optional<absl::Status> over;
  const auto message = session.Next(absl::ZeroDuration(), &over);
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

TEST(WorkerSession, AnOkEndIsAnEnd) {
  WorkerSession session("w", 7);
  session.End(absl::OkStatus());
  EXPECT_EQ(EndOf(session), absl::OkStatus());
}

TEST(WorkerSession, AMessageOrAnEndWakesTheWriterThatWaits) {
  WorkerSession session("w", 7);
  std::atomic<int> taken = 0;
  std::optional<absl::Status> over;
  std::thread writer([&] {
    while (!over.has_value()) {
      if (session.Next(absl::InfiniteDuration(), &over).has_value()) ++taken;
    }
  });
  std::vector<std::thread> senders;
  for (int i = 0; i < 4; ++i) {
    senders.emplace_back([&session] {
      for (int m = 0; m < 200; ++m) session.Push(DrainWorker{});
    });
  }
  for (std::thread& sender : senders) sender.join();
  session.End(absl::UnavailableError("over"));
  writer.join();
  EXPECT_EQ(taken, 800);
  EXPECT_EQ(over, absl::UnavailableError("over"));
}

}  // namespace
}  // namespace attnrl::scheduler
