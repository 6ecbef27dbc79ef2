// SPDX-License-Identifier: Apache-2.0
#include "common/base/clock.h"

#include "gtest/gtest.h"

namespace attnrl {
namespace {

TEST(FakeClock, StandsStillUntilAdvanced) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(absl::Seconds(3));
  EXPECT_EQ(clock.Now() - start, absl::Seconds(3));
  clock.Sleep(absl::Seconds(2));
  EXPECT_EQ(clock.Monotonic(), absl::Seconds(5));
}

TEST(Stopwatch, MeasuresWhatPassedThoughTheWallClockIsSetBackOrForward) {
  FakeClock clock;
  for (const absl::Duration jump : {-absl::Hours(1), absl::Hours(1)}) {
    const absl::Time start = clock.Now();
    const Stopwatch watch(clock);
    clock.Advance(absl::Seconds(3));
    clock.Jump(jump);
    clock.Advance(absl::Seconds(2));
    EXPECT_EQ(watch.start(), start);
    EXPECT_EQ(watch.Elapsed(), absl::Seconds(5));
    EXPECT_EQ(watch.End(), start + absl::Seconds(5));
    EXPECT_EQ(clock.Now(), start + jump + absl::Seconds(5));
  }
}

TEST(RealClock, NeverGoesBackwards) {
  const absl::Duration first = Clock::Real().Monotonic();
  EXPECT_GE(Clock::Real().Monotonic(), first);
}

}  // namespace
}  // namespace attnrl
