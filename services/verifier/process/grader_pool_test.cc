// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/process/grader_pool.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "services/verifier/limits.h"
#include "services/verifier/testing/pools.h"

namespace attnrl::verifier {
namespace {

constexpr char kRealGrader[] = ATTNRL_BINARY_DIR "/bin/attnrl-grader";

// Every process this test has started is collected by now.
bool NoChildIsLeft() { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

TEST(GraderPool, GradesInOrderOverSeveralProcesses) {
  auto pool = StartPool({.binary = kRealGrader, .children = 3});
  std::vector<GradeRequest> requests;
  for (int i = 0; i < 1000; ++i) requests.push_back(Right(i));
  requests[7].answers = {"8"};
  auto results = pool->Grade(requests);
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 1000u);
  for (size_t i = 0; i < results->size(); ++i) {
    EXPECT_EQ((*results)[i].id, std::to_string(i));
    EXPECT_EQ((*results)[i].extracted, std::to_string(i));
    EXPECT_EQ((*results)[i].correct, i != 7);
  }
  EXPECT_EQ(pool->counters().in_flight, 0);
  EXPECT_EQ(pool->counters().restarts, 0);
  EXPECT_EQ(pool->counters().children, 3);
}

TEST(GraderPool, LargeResponsesPassThroughTheSandbox) {
  auto pool = StartPool({.binary = kRealGrader});
  std::string large(15 << 20, 'x');
  auto results = pool->Grade({{"a", large + "\\boxed{1}", {"1"}},
                              {"b", large + large, {"1"}},
                              {"c", "\\boxed{" + large + "}", {"1"}}});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE((*results)[0].correct);
  EXPECT_EQ((*results)[1].status, GradeStatus::kLimit);
  EXPECT_EQ((*results)[2].status, GradeStatus::kLimit);
  EXPECT_LE((*results)[2].extracted.size(), 1u << 20);
  EXPECT_EQ(pool->counters().restarts, 0);
}

TEST(GraderPool, BracesAndBoxesOfTheLargestResponsePassThroughTheSandbox) {
  auto pool = StartPool({.binary = kRealGrader});
  std::vector<GradeRequest> requests;
  for (const std::string_view piece : {"{", "\\boxed{", "\\boxed{},", "\\boxed{{", "{}"}) {
    std::string response;
    while (response.size() + piece.size() <= Limits().response_bytes) response += piece;
    requests.push_back({"", std::move(response), {"1"}});
  }
  auto results = pool->Grade(requests);
  ASSERT_TRUE(results.ok()) << results.status();
  std::vector<GradeStatus> statuses;
  for (const GradeResult& result : *results) statuses.push_back(result.status);
  constexpr GradeStatus kNone = GradeStatus::kNoAnswer;
  EXPECT_EQ(statuses,
            (std::vector<GradeStatus>{kNone, kNone, GradeStatus::kUnparsable, kNone, kNone}));
  EXPECT_EQ(pool->counters().restarts, 0);
}

TEST(GraderPool, ACrashIsTriedOnOtherProcessesAndThenAResult) {
  auto pool = StartPool({.children = 2, .attempts = 3});
  std::vector<GradeRequest> requests;
  for (int i = 0; i < 200; ++i) requests.push_back(Right(i));
  requests[50].response += "[crash]";
  requests[51].response += "[crash]";
  requests[150].response += "[forge]";
  auto results = pool->Grade(requests);
  ASSERT_TRUE(results.ok()) << results.status();
  std::set<size_t> crashed = {50, 51, 150};
  for (size_t i = 0; i < results->size(); ++i) {
    const GradeResult& result = (*results)[i];
    bool crash = crashed.count(i) > 0;
    EXPECT_EQ(result.status, crash ? GradeStatus::kCrash : GradeStatus::kGraded) << i;
    EXPECT_EQ(result.correct, !crash) << i;
    EXPECT_EQ(result.id, std::to_string(i));
  }
  EXPECT_EQ(pool->counters().restarts, 9);
  pool.reset();
  EXPECT_TRUE(NoChildIsLeft());
}

TEST(GraderPool, ACrashThatDoesNotRepeatLeavesNoTrace) {
  const TemporaryFolder folder;
  const std::string file = folder.Write("once", "x");
  auto pool = StartPool({});
  GradeRequest request = Right(1);
  request.response += "[once " + file + "]";
  auto results = pool->Grade({Right(0), request, Right(2)});
  ASSERT_TRUE(results.ok()) << results.status();
  for (const GradeResult& result : *results) EXPECT_TRUE(result.correct);
  EXPECT_EQ(pool->counters().restarts, 1);
}

TEST(GraderPool, AHangIsEndedByTheWatchdog) {
  auto pool = StartPool({.timeout = absl::Milliseconds(20), .attempts = 2});
  GradeRequest spins = Right(1);
  spins.response += "[spin]";
  GradeRequest sleeps = Right(2);
  sleeps.response += "[sleep]";
  auto results = pool->Grade({Right(0), spins, sleeps, Right(3)});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE((*results)[0].correct);
  EXPECT_EQ((*results)[1].status, GradeStatus::kTimeout);
  EXPECT_FALSE((*results)[1].correct);
  EXPECT_EQ((*results)[2].status, GradeStatus::kTimeout);
  EXPECT_TRUE((*results)[3].correct);
  EXPECT_FALSE(IsVerdict((*results)[1].status));
}

TEST(GraderPool, ServesManyCallersAtOnce) {
  auto pool = StartPool({.children = 2});
  std::vector<std::thread> callers;
  std::vector<int> right(8, 0);
  for (size_t caller = 0; caller < right.size(); ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 10; ++round) {
        std::vector<GradeRequest> requests = {Right(round), Right(7), Right(100 + round)};
        if (round == 5 && caller % 4 == 0) requests[1].response = "[crash]";
        auto results = pool->Grade(requests);
        for (const GradeResult& result : *results) right[caller] += result.correct ? 1 : 0;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (size_t caller = 0; caller < right.size(); ++caller) {
    EXPECT_EQ(right[caller], caller % 4 == 0 ? 29 : 30);
  }
}

TEST(GraderPool, AFullQueueIsRefusedAtOnce) {
  auto pool = StartPool({.max_queued = 2});
  auto many = pool->Grade({Right(1), Right(2), Right(3)});
  EXPECT_TRUE(absl::IsResourceExhausted(many.status())) << many.status();
  EXPECT_TRUE(pool->Grade({Right(1), Right(2)}).ok());
  auto bytes = StartPool({.max_queued_bytes = 10});
  EXPECT_TRUE(absl::IsResourceExhausted(bytes->Grade({Right(1)}).status()));
}

TEST(GraderPool, NothingToGradeIsFine) {
  auto pool = StartPool({});
  auto results = pool->Grade({});
  ASSERT_TRUE(results.ok());
  EXPECT_TRUE(results->empty());
}

TEST(GraderPool, RefusesARequestWithoutAnswers) {
  auto pool = StartPool({});
  auto results = pool->Grade({{"p7", "\\boxed{1}", {}}});
  EXPECT_TRUE(IsInputError(results.status()));
  EXPECT_NE(results.status().message().find("p7"), std::string::npos);
}

TEST(GraderPool, StartFailsNamingABinaryThatIsMissingOrNoGrader) {
  auto missing = GraderPool::Start({.binary = "/nowhere/attnrl-grader"});
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_NE(missing.status().message().find("/nowhere/attnrl-grader"), std::string::npos);
  auto other = GraderPool::Start({.binary = "/bin/true"});
  EXPECT_TRUE(absl::IsUnavailable(other.status())) << other.status();
  auto silent = GraderPool::Start({.binary = "/bin/cat", .start_patience = absl::Milliseconds(10)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(silent.status())) << silent.status();
  EXPECT_TRUE(IsInputError(GraderPool::Start({.children = 0}).status()));
  EXPECT_TRUE(NoChildIsLeft());
}

}  // namespace
}  // namespace attnrl::verifier
