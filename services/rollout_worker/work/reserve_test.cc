// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/reserve.h"

#include <gtest/gtest.h>

namespace attnrl::rollout {
namespace {

constexpr absl::Duration kStart = absl::Seconds(100);

// A worker that finishes `a_second` samples for `seconds`, with answers that take so long.
int64_t After(int a_second, int seconds, absl::Duration answer, int64_t most = 1000) {
  Reserve reserve(kStart, most);
  for (int i = 0; i < 100; ++i) reserve.NoteAnswer(answer);
  absl::Duration now = kStart;
  for (int i = 0; i < a_second * seconds; ++i) {
    now += absl::Seconds(1) / a_second;
    reserve.NoteFinished(now);
  }
  return reserve.Samples(now);
}

TEST(Reserve, IsNothingWhileNothingIsFinished) {
  EXPECT_EQ(Reserve(kStart, 10).Samples(kStart), 0);
  EXPECT_EQ(Reserve(kStart, 10).Samples(kStart + absl::Hours(1)), 0);
}

TEST(Reserve, HoldsWhatIsFinishedUntilAnAnswerAndADeviation) {
  EXPECT_EQ(After(1, 100, absl::Milliseconds(20)), 0) << "a slot waits for a hundredth of its time";
  EXPECT_EQ(After(6, 100, absl::Milliseconds(50)), 1);
  EXPECT_EQ(After(100, 100, absl::Milliseconds(39)), 6);
  EXPECT_EQ(After(100, 100, absl::Milliseconds(159)), 20);
}

TEST(Reserve, KnowsTheRateOfAWorkerThatHasJustBegun) {
  EXPECT_EQ(After(100, 3, absl::Milliseconds(159)), After(100, 100, absl::Milliseconds(159)));
}

TEST(Reserve, NeverHoldsMoreThanItMay) { EXPECT_EQ(After(100, 100, absl::Seconds(10), 16), 16); }

TEST(Reserve, ForgetsARateThatIsOver) {
  Reserve reserve(kStart, 1000);
  absl::Duration now = kStart;
  for (int i = 0; i < 10'000; ++i) reserve.NoteFinished(now += absl::Milliseconds(10));
  EXPECT_GT(reserve.Samples(now), 5);
  EXPECT_LE(reserve.Samples(now + absl::Minutes(5)), 1);
}

}  // namespace
}  // namespace attnrl::rollout
