// SPDX-License-Identifier: Apache-2.0
#include "services/learner/schedule/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

namespace attnrl::learner {
namespace {

TEST(ShareOfPeak, FallsFromOneToTheShareOfItsEndAndStays) {
  for (const Decay decay : {Decay::kLinear, Decay::kCosine}) {
    for (const double to : {0.0, 0.1, 0.5, 1.0}) {
      EXPECT_DOUBLE_EQ(ShareOfPeak(decay, to, 0), 1) << to;
      EXPECT_DOUBLE_EQ(ShareOfPeak(decay, to, 0.5), (1 + to) / 2) << to;
      for (const double after : {1.0, 1.5, 2.0, 1e6}) {
        EXPECT_DOUBLE_EQ(ShareOfPeak(decay, to, after), to) << after;
      }
    }
  }
}

TEST(ShareOfPeak, OfACosineIsAboveTheLineBeforeTheMiddleAndBelowItBehind) {
  const double root = std::sqrt(0.5);
  EXPECT_NEAR(ShareOfPeak(Decay::kCosine, 0, 0.25), (1 + root) / 2, 1e-15);
  EXPECT_NEAR(ShareOfPeak(Decay::kLinear, 0, 0.25), 0.75, 1e-15);
  EXPECT_NEAR(ShareOfPeak(Decay::kCosine, 0, 0.75), (1 - root) / 2, 1e-15);
  EXPECT_NEAR(ShareOfPeak(Decay::kLinear, 0, 0.75), 0.25, 1e-15);
}

TEST(LearningRateAt, IsThePeakWhereNothingShapesIt) {
  for (const int64_t step : {0, 1, 1000}) EXPECT_EQ(LearningRateAt({}, 1e-6, step), 1e-6);
}

TEST(LearningRateAt, WarmsUpStaysAndFallsAlongACosine) {
  const RateSchedule schedule{.warmup_steps = 4,
                              .decay_after = 10,
                              .decay_steps = 6,
                              .decay = Decay::kCosine,
                              .decay_to = 0.2};
  const double root = std::sqrt(0.75);  // cos(pi / 6)
  for (const auto& [step, share] : {std::pair<int64_t, double>{0, 0.2},
                                    {1, 0.4},
                                    {3, 0.8},
                                    {4, 1},
                                    {9, 1},
                                    {10, 0.2 + 0.4 * (1 + root)},
                                    {11, 0.2 + 0.4 * 1.5},
                                    {12, 0.2 + 0.4},
                                    {13, 0.2 + 0.4 * 0.5},
                                    {14, 0.2 + 0.4 * (1 - root)},
                                    {15, 0.2},
                                    {16, 0.2},
                                    {1'000'000, 0.2}}) {
    EXPECT_NEAR(LearningRateAt(schedule, 3, step), 3 * share, 1e-14) << step;
  }
}

TEST(LearningRateAt, FallsLinearlyToATenthUnlessToldOtherwise) {
  const RateSchedule schedule{.decay_after = 3, .decay_steps = 2};
  for (const auto& [step, rate] :
       {std::pair<int64_t, double>{2, 0.1}, {3, 0.055}, {4, 0.01}, {9, 0.01}}) {
    EXPECT_NEAR(LearningRateAt(schedule, 0.1, step), rate, 1e-15) << step;
  }
}

TEST(LearningRateAt, MayEndAtZeroOrNotFallAtAll) {
  RateSchedule schedule{.decay_after = 1, .decay_steps = 3, .decay_to = 0};
  for (const Decay decay : {Decay::kLinear, Decay::kCosine}) {
    schedule.decay = decay;
    EXPECT_GT(LearningRateAt(schedule, 1, 2), 0);
    EXPECT_EQ(LearningRateAt(schedule, 1, 3), 0);
    EXPECT_EQ(LearningRateAt(schedule, 1, 100), 0);
  }
  schedule.decay_to = 1;
  for (int64_t step = 0; step < 6; ++step) EXPECT_EQ(LearningRateAt(schedule, 0.3, step), 0.3);
}

TEST(LearningRateAt, FallsFromTheEndOfTheWarmUpWithoutAJump) {
  const RateSchedule schedule{
      .warmup_steps = 9, .decay_after = 9, .decay_steps = 40, .decay = Decay::kCosine};
  for (int64_t step = 1; step < 60; ++step) {
    const double change = LearningRateAt(schedule, 1, step) - LearningRateAt(schedule, 1, step - 1);
    EXPECT_LE(std::abs(change), 0.1 + 1e-12) << step;
    EXPECT_EQ(change > 0, step <= 9) << step;
  }
}

}  // namespace
}  // namespace attnrl::learner
