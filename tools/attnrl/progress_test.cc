// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ProgressTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  std::ostringstream out_;
};

TEST_F(ProgressTest, SaysTheTimeLeftFromTheSpeedSoFar) {
  Progress progress({.what = "train", .total = 40}, out_, /*terminal=*/true, clock_);
  progress.Update(0);
  clock_.Advance(absl::Seconds(20));
  progress.Update(10, "reward 0.5");
  EXPECT_THAT(out_.str(), HasSubstr("10/40, 1 min 0 s left  reward 0.5"));
}

TEST_F(ProgressTest, DoesNotCountEarlierWorkAsSpeed) {
  Progress progress({.what = "train", .total = 40}, out_, /*terminal=*/true, clock_);
  progress.Update(30);
  clock_.Advance(absl::Seconds(10));
  progress.Update(35);
  EXPECT_THAT(out_.str(), HasSubstr("35/40, 10 s left"));
}

TEST_F(ProgressTest, WritesPlainLinesNowAndThenWhereThereIsNoTerminal) {
  Progress progress({.what = "sft", .total = 100}, out_, /*terminal=*/false, clock_);
  for (int step = 0; step <= 20; ++step) {
    progress.Update(step);
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(out_.str(), "sft 10/100, 1 min 30 s left\nsft 20/100, 1 min 20 s left\n");
}

TEST_F(ProgressTest, SaysNoTimeLeftWhileTheWorkStandsAndDoesNotCountThatTime) {
  Progress progress({.what = "train", .total = 40}, out_, /*terminal=*/true, clock_);
  progress.Update(0);
  clock_.Advance(absl::Seconds(20));
  progress.Update(10);
  out_.str("");
  for (int second = 0; second < 300; ++second) {
    progress.Stand(10, "paused: lunch");
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_THAT(out_.str(), HasSubstr("10/40  paused: lunch"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("left")));
  progress.Update(10);
  EXPECT_THAT(out_.str(), HasSubstr("10/40, 1 min 0 s left"));
}

TEST_F(ProgressTest, IsSilentWhileTheWorkStandsWhereThereIsNoTerminal) {
  Progress progress({.what = "train", .total = 40}, out_, /*terminal=*/false, clock_);
  progress.Stand(10, "paused");
  clock_.Advance(absl::Hours(1));
  progress.Stand(10, "paused");
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressTest, KeepsLinesAboveTheBar) {
  Progress progress({.what = "train", .total = 4}, out_, /*terminal=*/true, clock_);
  progress.Update(1);
  progress.Line("step 1");
  progress.Update(2);
  EXPECT_THAT(out_.str(), HasSubstr("\r\033[Kstep 1\n\r\033[Ktrain ["));
}

TEST_F(ProgressTest, EndsWithTheWholeTime) {
  Progress progress({.what = "eval", .total = 4}, out_, /*terminal=*/false, clock_);
  progress.Update(1);
  clock_.Advance(absl::Seconds(3700));
  progress.Finish();
  progress.Update(4);
  EXPECT_EQ(out_.str(), "eval done in 1 h 1 min\n");
  EXPECT_THAT(out_.str(), Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace attnrl::tools
