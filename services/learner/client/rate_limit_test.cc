// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/rate_limit.h"

#include <gtest/gtest.h>

namespace attnrl::learner {
namespace {

bool Never() { return false; }

// A thousand bytes a second, by a clock that only waiting moves.
class RateLimitTest : public ::testing::Test {
 protected:
  absl::Duration SecondsOf(int messages, uint64_t bytes) {
    const absl::Duration start = clock_.Monotonic();
    for (int i = 0; i < messages; ++i) EXPECT_TRUE(limit_.Take(bytes, Never));
    return clock_.Monotonic() - start;
  }

  FakeClock clock_;
  RateLimit limit_{1000, clock_};
};

TEST_F(RateLimitTest, LetsSoManyBytesASecondThrough) {
  SecondsOf(1, 100);
  EXPECT_EQ(SecondsOf(10, 500), absl::Milliseconds(4500));
  EXPECT_EQ(SecondsOf(1000, 1), absl::Milliseconds(500 + 999));
}

TEST_F(RateLimitTest, HoldsNoMoreThanATenthOfASecondBrings) {
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(SecondsOf(1, 100), absl::ZeroDuration());
  EXPECT_EQ(SecondsOf(1, 100), absl::ZeroDuration());
  EXPECT_EQ(SecondsOf(1, 100), absl::Milliseconds(100));
}

TEST_F(RateLimitTest, AMessageLargerThanTheBucketMakesTheNextOneWait) {
  EXPECT_EQ(SecondsOf(1, 60'000), absl::ZeroDuration());
  EXPECT_EQ(SecondsOf(1, 1), absl::Seconds(60) - absl::Milliseconds(100));
}

TEST_F(RateLimitTest, WhoStopsWaitingTakesNothing) {
  SecondsOf(1, 60'000);
  int asked = 0;
  EXPECT_FALSE(limit_.Take(60'000, [&] { return ++asked == 3; }));
  EXPECT_EQ(clock_.Monotonic(), absl::Milliseconds(200)) << "asked ten times a second";
  EXPECT_EQ(SecondsOf(1, 1), absl::Seconds(60) - absl::Milliseconds(300));
}

TEST(RateLimit, OfZeroIsNone) {
  FakeClock clock;
  RateLimit none(0, clock);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(none.Take(uint64_t{1} << 40, Never));
  EXPECT_EQ(clock.Monotonic(), absl::ZeroDuration());
}

}  // namespace
}  // namespace attnrl::learner
