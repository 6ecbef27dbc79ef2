// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/advice/advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

using pipeline::PipelineMode;
using ::testing::HasSubstr;
using ::testing::Not;

// Two workers sample for 9 of 10 s, the learner trains for 3 of them and does other things for 1.
Measured Sampling() {
  return {.first_step = 2,
          .last_step = 9,
          .workers = 2,
          .ranks = 1,
          .step = 10,
          .sampling = 9.5,
          .longest = 2,
          .train = 3,
          .wait = 6,
          .tokens = 19000};
}

TEST(Advice, OverlappedAStepIsItsSlowerSide) {
  const Split now = Predict(Sampling(), 2, 1);
  EXPECT_DOUBLE_EQ(now.sampling, 9.5);
  EXPECT_DOUBLE_EQ(now.learning, 4);
  EXPECT_DOUBLE_EQ(now.step, 9.5);
  EXPECT_DOUBLE_EQ(Predict(Sampling(), 1, 1).step, 19);
  EXPECT_DOUBLE_EQ(Predict(Sampling(), 4, 1).step, 4.75);
  EXPECT_DOUBLE_EQ(Predict(Sampling(), 8, 1).step, 4) << "then the learner is slower";
  EXPECT_DOUBLE_EQ(Predict(Sampling(), 8, 3).step, 2.375) << "only training divides";
}

TEST(Advice, InTheOtherModesAStepIsTheSumOfBoth) {
  Measured measured = Sampling();
  measured.mode = PipelineMode::kSequential;
  measured.sampling = measured.wait = 6;
  EXPECT_DOUBLE_EQ(Predict(measured, 2, 1).step, 10);
  EXPECT_DOUBLE_EQ(Predict(measured, 4, 1).step, 7);
  EXPECT_THAT(AdviceText("r", measured),
              HasSubstr("pipeline.mode overlapped would take about 6.00 s"));
}

TEST(Advice, NoStepIsShorterThanItsLongestSample) {
  Measured measured = Sampling();
  measured.longest = 5;
  EXPECT_DOUBLE_EQ(Predict(measured, 100, 100).step, 5);
}

TEST(Advice, TheNeighboursHaveOneDeviceMoreOrFewerAtMost) {
  for (const Split& split : Neighbours(Sampling())) {
    EXPECT_GE(split.workers, 1);
    EXPECT_GE(split.ranks, 1);
    EXPECT_LE(std::abs(split.workers + split.ranks - 3), 1);
  }
  EXPECT_EQ(Neighbours(Sampling()).size(), 5u);
}

TEST(Advice, SaysWhoWaitsAndWhatWouldHelp) {
  const std::string text = AdviceText("runs/x", Sampling());
  EXPECT_THAT(text, HasSubstr("runs/x: steps 3 to 10, overlapped, 2 workers, 1 learner rank\n"));
  EXPECT_THAT(text, HasSubstr("1000 tokens/s"));
  EXPECT_THAT(text, HasSubstr("The learner waits for sampling, 60 % of a step."));
  EXPECT_THAT(text, HasSubstr("One more worker: a step 1.50 times as fast."));
  EXPECT_THAT(text, Not(HasSubstr(" \n"))) << "no line ends in spaces";
  EXPECT_THAT(text, HasSubstr("One more learner rank: a step 1.00 times as fast."));
  EXPECT_THAT(text, Not(HasSubstr("would be best")));
}

TEST(Advice, MovesDevicesToTheSlowerSide) {
  Measured measured = Sampling();
  measured.workers = 3;
  measured.sampling = 2;
  measured.longest = 0.5;
  measured.train = 9;
  measured.wait = 0;
  const Split best = Best(measured);
  EXPECT_EQ(best.workers, 2);
  EXPECT_EQ(best.ranks, 2);
  const std::string text = AdviceText("runs/x", measured);
  EXPECT_THAT(text, HasSubstr("Workers wait for the learner, 80 % of a step."));
  EXPECT_THAT(text, HasSubstr("Of 4 devices, 2 workers and 2 learner ranks would be best"));
}

TEST(Advice, LeavesABalancedRunAlone) {
  Measured measured = Sampling();
  measured.sampling = measured.step = 10;
  measured.train = 9.8;
  measured.wait = 0.2;
  const std::string text = AdviceText("runs/x", measured);
  EXPECT_THAT(text, HasSubstr("Neither side waits for the other."));
  EXPECT_THAT(text, Not(HasSubstr("would be best")));
}

}  // namespace
}  // namespace attnrl::tools
