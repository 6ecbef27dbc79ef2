// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/stall_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAre;

// The seconds at which something is said of a run of `seconds`.
std::vector<int> SaidAt(int seconds, const std::function<uint64_t(int)>& progress,
                        const std::function<std::string(int)>& reason) {
  StallWatch watch;
  std::vector<int> said;
  for (int second = 0; second <= seconds; ++second) {
    const absl::Duration now = absl::Hours(5) + absl::Seconds(second);
    if (!watch.Quiet(now, progress(second))) continue;
    if (watch.Due(now, reason(second))) said.push_back(second);
  }
  return said;
}

uint64_t Nothing(int) { return 7; }
std::string Same(int) { return "why"; }

TEST(StallWatch, SpeaksWithinHalfAMinuteAndThenEverMoreRarely) {
  EXPECT_THAT(SaidAt(500, Nothing, Same), ElementsAre(25, 85, 205, 445));
}

TEST(StallWatch, SaysAnotherReasonAtOnceButNotEachSecond) {
  EXPECT_THAT(SaidAt(60, Nothing, [](int second) { return second < 40 ? "a" : "b"; }),
              ElementsAre(25, 40));
  EXPECT_THAT(SaidAt(40, Nothing, [](int second) { return second % 2 == 0 ? "a" : "b"; }),
              ElementsAre(25, 30, 35, 40));
}

TEST(StallWatch, IsSilentWhileAnythingMoves) {
  EXPECT_THAT(SaidAt(
                  500, [](int second) { return second / 20; }, Same),
              ElementsAre());
}

TEST(StallWatch, BeginsAnewAfterProgress) {
  EXPECT_THAT(SaidAt(
                  80, [](int second) { return second < 50 ? 1 : 2; }, Same),
              ElementsAre(25, 75));
}

}  // namespace
}  // namespace attnrl::scheduler
