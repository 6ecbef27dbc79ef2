// SPDX-License-Identifier: Apache-2.0
// What a GraderPool refuses, and that what it refused or waits for keeps nobody else waiting.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "services/verifier/process/grader_pool.h"
#include "services/verifier/testing/pools.h"

namespace attnrl::verifier {
namespace {

using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(GraderPoolOptions, NameTheOptionThatIsOutOfRange) {
  struct Case {
    GraderPoolOptions options;
    const char* message;
  };
  const Case kCases[] = {
      {{.children = 0}, "children: 0; 1 to 1024 grader processes"},
      {{.children = 1025}, "children: 1025; 1 to 1024 grader processes"},
      {{.children = -1}, "children: -1; 1 to 1024 grader processes"},
      {{.timeout = absl::ZeroDuration()}, "timeout: 0; a millisecond or more"},
      {{.timeout = absl::Microseconds(999)}, "timeout: 999us; a millisecond or more"},
      {{.attempts = 0}, "attempts: 0; 1 or more"},
  };
  for (const Case& each : kCases) {
    EXPECT_EQ(Message(each.options.Validate()), each.message);
    EXPECT_EQ(Message(GraderPool::Start(each.options).status()), each.message);
  }
  const GraderPoolOptions least = {.children = 1, .timeout = absl::Milliseconds(1), .attempts = 1};
  EXPECT_TRUE(least.Validate().ok());
  EXPECT_TRUE(GraderPoolOptions{.children = 1024}.Validate().ok());
}

TEST(GraderPool, RefusesAResponseThatNoFrameHolds) {
  auto pool = StartPool({});
  GradeRequest large = {"big\nid", std::string(kMaxBytesPerResponse - 1, 'x'), {"12"}};
  EXPECT_EQ(Message(pool->Grade({Right(1), large}).status()),
            "response \"big\\nid\": 33554433 bytes; 33554432 bytes with its answers at most");
  large.answers = {"1"};
  const auto results = pool->Grade({large});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].status, GradeStatus::kLimit);
  EXPECT_EQ((*results)[0].id, "big\nid");
  EXPECT_EQ(pool->counters().restarts, 0);
}

TEST(GraderPool, TakesNothingOfACallThatItRefuses) {
  auto pool = StartPool({.max_queued = 3});
  EXPECT_FALSE(pool->Grade({Right(1), {"2", "\\boxed{2}", {}}}).ok());
  EXPECT_EQ(Message(pool->Grade({Right(1), Right(2), Right(3), Right(4)}).status()),
            "the grader's queue is full: 0 responses are waiting, 3 may wait");
  EXPECT_EQ(pool->counters().in_flight, 0);
  const auto results = pool->Grade({Right(1), Right(2), Right(3)});
  ASSERT_TRUE(results.ok()) << results.status();
  for (const GradeResult& result : *results) EXPECT_TRUE(result.correct);
}

TEST(GraderPool, FillsItsQueueToTheLastByte) {
  const GradeRequest request = Right(7);
  const size_t bytes = Bytes(request);
  auto pool = StartPool({.max_queued_bytes = 2 * bytes});
  EXPECT_TRUE(pool->Grade({request, request}).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(pool->Grade({request, request, request}).status()));
  EXPECT_TRUE(pool->Grade({request, request}).ok());  // its room is given back
}

TEST(GraderPool, GoesOnWithTheOthersWhileOneResponseStandsStill) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  auto pool = StartPool({.children = 2, .timeout = absl::Minutes(1)});
  GradeRequest waits = Right(1);
  waits.response += "[wait " + pipe + "]";
  absl::StatusOr<std::vector<GradeResult>> stopped;
  std::thread caller([&] { stopped = pool->Grade({waits}); });
  const int writer = open(pipe.c_str(), O_WRONLY);  // blocks until the grader is at the response
  std::vector<GradeRequest> others;
  for (int i = 0; i < 300; ++i) others.push_back(Right(i));
  const auto results = pool->Grade(others);
  EXPECT_EQ(pool->counters().in_flight, 1);
  close(writer);
  caller.join();
  ASSERT_TRUE(results.ok()) << results.status();
  for (size_t i = 0; i < others.size(); ++i) {
    EXPECT_EQ((*results)[i].id, others[i].id);
    EXPECT_TRUE((*results)[i].correct);
  }
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_TRUE((*stopped)[0].correct);
  EXPECT_EQ(pool->counters().restarts, 0);
}

TEST(GraderPool, DropsFromItsQueueWhatNobodyWaitsForAnyMore) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  auto pool = StartPool({.timeout = absl::Minutes(1)});
  GradeRequest waits = Right(1);
  waits.response += "[wait " + pipe + "]";
  absl::StatusOr<std::vector<GradeResult>> stopped;
  std::thread caller([&] { stopped = pool->Grade({waits}); });
  const int writer = open(pipe.c_str(), O_WRONLY);  // blocks until the only grader is at it
  std::vector<GradeRequest> others;
  for (int i = 0; i < 300; ++i) others.push_back(Right(i));
  EXPECT_TRUE(absl::IsCancelled(pool->Grade(others, [] { return true; }).status()));
  EXPECT_EQ(pool->counters().in_flight, 1);
  close(writer);
  caller.join();
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_TRUE((*stopped)[0].correct);
  EXPECT_EQ(pool->counters().in_flight, 0);
}

TEST(GraderPool, KeepsTheOrderWhereEveryThirdResponseKillsItsGrader) {
  auto pool = StartPool({.children = 2, .attempts = 1});
  std::vector<GradeRequest> requests;
  for (int i = 0; i < 30; ++i) {
    requests.push_back(Right(i));
    if (i % 3 == 2) requests.back().response += "[crash]";
  }
  const auto results = pool->Grade(requests);
  ASSERT_TRUE(results.ok()) << results.status();
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ((*results)[i].id, std::to_string(i));
    EXPECT_EQ((*results)[i].status, i % 3 == 2 ? GradeStatus::kCrash : GradeStatus::kGraded);
    EXPECT_EQ((*results)[i].correct, i % 3 != 2);
  }
  EXPECT_EQ(pool->counters().restarts, 10);
}

TEST(GraderPool, SaysWhyAProcessIsNoGrader) {
  const auto start = [](const std::string& binary, absl::Duration patience) {
    return GraderPool::Start({.binary = binary, .start_patience = patience}).status();
  };
  EXPECT_EQ(Message(start("/bin/true", absl::Minutes(1))),
            "grader /bin/true: it ended before it was ready");
  EXPECT_EQ(Message(start("/bin/cat", absl::Milliseconds(5))),
            "grader /bin/cat: not ready after 5ms");
  EXPECT_EQ(Message(start("/nowhere/grader", absl::Minutes(1))),
            "grader /nowhere/grader: No such file or directory");
  const TemporaryFolder folder;
  const std::string script =
      folder.Write("grader", "#!/bin/sh\nprintf '\\004\\000\\000\\000moin'\nexec cat\n");
  ASSERT_EQ(chmod(script.c_str(), 0700), 0);
  EXPECT_THAT(Message(start(script, absl::Minutes(1))), HasSubstr("it uses another version"));
}

}  // namespace
}  // namespace attnrl::verifier
