// SPDX-License-Identifier: Apache-2.0
#include "common/base/backoff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace attnrl {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

constexpr absl::Duration kFirst = absl::Milliseconds(100);
constexpr absl::Duration kBound = absl::Seconds(2);

std::vector<absl::Duration> Waits(Backoff backoff, int count) {
  std::vector<absl::Duration> waits;
  for (int i = 0; i < count; ++i) waits.push_back(backoff.Next());
  return waits;
}

TEST(Backoff, DoublesItsWaitUpToTheBound) {
  for (const uint64_t seed : {0, 1, 2}) {
    Backoff backoff(kFirst, kBound, seed);
    for (const int milliseconds : {100, 200, 400, 800, 1600, 2000, 2000, 2000}) {
      const absl::Duration full = absl::Milliseconds(milliseconds);
      EXPECT_THAT(backoff.Next(), AllOf(Ge(full / 2), Le(full)));
    }
  }
}

TEST(Backoff, StaysAtTheBoundHoweverLongItLasts) {
  Backoff backoff(kFirst, kBound, 3);
  for (int attempt = 0; attempt < 1000; ++attempt) backoff.Next();
  EXPECT_THAT(backoff.Next(), AllOf(Ge(kBound / 2), Le(kBound)));
}

TEST(Backoff, SpreadsItsWaitsOverTheWholeUpperHalf) {
  absl::Duration shortest = kBound;
  absl::Duration longest = absl::ZeroDuration();
  for (const absl::Duration wait : Waits(Backoff(kBound, kBound, 4), 200)) {
    shortest = std::min(shortest, wait);
    longest = std::max(longest, wait);
  }
  EXPECT_THAT(shortest, AllOf(Ge(0.5 * kBound), Le(0.55 * kBound)));
  EXPECT_THAT(longest, AllOf(Ge(0.95 * kBound), Le(kBound)));
}

TEST(Backoff, BeginsAnewAfterProgress) {
  Backoff backoff(kFirst, kBound, 5);
  for (int attempt = 0; attempt < 10; ++attempt) backoff.Next();
  backoff.Reset();
  EXPECT_THAT(backoff.Next(), AllOf(Ge(kFirst / 2), Le(kFirst)));
  EXPECT_THAT(backoff.Next(), AllOf(Ge(kFirst), Le(2 * kFirst)));
}

TEST(Backoff, NeverExceedsABoundBelowTheFirstWait) {
  Backoff backoff(kBound, kFirst, 6);
  EXPECT_LE(backoff.Next(), kFirst);
  backoff.Reset();
  EXPECT_LE(backoff.Next(), kFirst);
}

TEST(Backoff, RepeatsItselfWithTheSameSeedOnly) {
  const std::vector<absl::Duration> waits = Waits(Backoff(kFirst, kBound, 7), 4);
  EXPECT_EQ(Waits(Backoff(kFirst, kBound, 7), 4), waits);
  EXPECT_NE(Waits(Backoff(kFirst, kBound, 8), 4), waits);
}

}  // namespace
}  // namespace attnrl
