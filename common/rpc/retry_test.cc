// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/clock.h"

namespace attnrl::rpc {
namespace {

using ::testing::HasSubstr;

TEST(Retry, StopsAtTheFirstAnswer) {
  FakeClock clock;
  int tried = 0;
  EXPECT_TRUE(Retry({}, clock, [&](absl::Duration) {
                return ++tried < 3 ? absl::UnavailableError("down") : absl::OkStatus();
              }).ok());
  EXPECT_EQ(tried, 3);
  EXPECT_GT(clock.Monotonic(), absl::ZeroDuration());
}

TEST(Retry, NeverRepeatsOtherErrors) {
  FakeClock clock;
  for (const auto code : {absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kInternal,
                          absl::StatusCode::kResourceExhausted}) {
    int tried = 0;
    const absl::Status status = Retry({}, clock, [&](absl::Duration) {
      ++tried;
      return absl::Status(code, "no");
    });
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(tried, 1);
  }
}

TEST(Retry, GivesUpAfterTheAttemptsByName) {
  FakeClock clock;
  const absl::Status status =
      Retry({.what = "CommitBatch of batch 7", .attempts = 4}, clock,
            [](absl::Duration) { return absl::UnavailableError("connection refused"); });
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(status.message(),
            "CommitBatch of batch 7: given up after 4 attempts: connection refused");
}

TEST(Retry, GivesUpBeforeTheDeadlineAndPassesOnWhatIsLeft) {
  FakeClock clock;
  std::vector<absl::Duration> left;
  const absl::Status status =
      Retry({.what = "Status", .deadline = absl::Seconds(10)}, clock, [&](absl::Duration time) {
        left.push_back(time);
        return absl::UnavailableError("down");
      });
  EXPECT_THAT(std::string(status.message()), HasSubstr("Status: given up"));
  EXPECT_LE(clock.Monotonic(), absl::Seconds(10));
  EXPECT_EQ(left.front(), absl::Seconds(10));
  EXPECT_LT(left.back(), absl::Seconds(10));
  EXPECT_GT(left.back(), absl::ZeroDuration());
}

TEST(Backoff, GrowsToItsLimitWithJitter) {
  const RetryPolicy policy{.first_backoff = absl::Milliseconds(100),
                           .max_backoff = absl::Seconds(2)};
  Backoff backoff(policy);
  absl::Duration most = policy.first_backoff;
  for (int attempt = 0; attempt < 40; ++attempt) {
    const absl::Duration pause = backoff.Next();
    EXPECT_GE(pause, most / 2);
    EXPECT_LT(pause, most);
    most = std::min(most * 2, policy.max_backoff);
  }
  backoff.Reset();
  EXPECT_LT(backoff.Next(), policy.first_backoff);
}

TEST(Backoff, DiffersBetweenProcesses) {
  Backoff one({.seed = 1});
  Backoff two({.seed = 2});
  EXPECT_NE(one.Next(), two.Next());
}

}  // namespace
}  // namespace attnrl::rpc
