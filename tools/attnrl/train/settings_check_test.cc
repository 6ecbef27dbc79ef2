// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/settings_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(OptimizerSteps, CountLeavesAsSamples) {
  config::Config config;
  EXPECT_EQ(OptimizerStepsText(config),
            "about 10 optimizer steps a batch of about 6 problems each");
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  EXPECT_EQ(OptimizerStepsText(config),
            "about 2 optimizer steps a batch of about 32 problems each");
  config.learner.minibatch_problems = 0;
  config.learner.steps_per_batch = 64;
  EXPECT_EQ(OptimizerStepsText(config), "about 64 optimizer steps a batch of about 1 problem each");
  config.learner.steps_per_batch = 1;
  EXPECT_EQ(OptimizerStepsText(config), "about 1 optimizer step a batch of about 64 problems each");
}

TEST(OptimizerSteps, AreCountedForEachStageWithWhatItSets) {
  config::Config config;
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  config.stages = {{600, {{"algorithm.sampling.batch_problems", "32"}}},
                   {700, {{"rollout.max_response_tokens", "16384"}}}};
  EXPECT_EQ(OptimizerStepsText(config),
            "about 2 optimizer steps a batch of about 32 problems each\n"
            "        from step 600 on about 1 optimizer step a batch of about 32 problems each, "
            "algorithm.sampling.batch_problems 32\n"
            "        from step 700 on about 1 optimizer step a batch of about 32 problems each, "
            "rollout.max_response_tokens 16384");
}

TEST(SettingsWarnings, TellOfAStageThatTheRunNeverReaches) {
  config::Config config;
  config.stages = {{499, {}}, {500, {}}};
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre("the stage from step 500 is never reached: run.steps is 500"));
}

TEST(SettingsWarnings, TellOfADistanceThatNoResponseHas) {
  config::Config config;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
  config.rollout.max_response_tokens = 160;
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre(HasSubstr("no step qualifies, all points are filled")));
  EXPECT_THAT(SettingsWarnings(config, 500), ElementsAre(HasSubstr("at most one step")));
  config.algorithm.branching.fill = false;
  EXPECT_THAT(SettingsWarnings(config, 100), ElementsAre(HasSubstr("no response branches")));
  config.algorithm.branching.criterion = tree::Criterion::kEntropy;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
}

TEST(SettingsWarnings, TellOfSettingsThatNothingReads) {
  config::Config config;
  config.learner.overlong_buffer = 7;
  config.learner.importance_cap = 5;
  config.algorithm.advantage_std = false;
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre(HasSubstr("overlong_buffer"), HasSubstr("importance_cap"),
                          HasSubstr("advantage_std")));
  config.learner.overlong = config::Overlong::kShape;
  config.learner.correction = config::Correction::kDecoupled;
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
}

}  // namespace
}  // namespace attnrl::tools
