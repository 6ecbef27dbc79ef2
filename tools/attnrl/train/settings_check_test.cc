// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/settings_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(OptimizerSteps, CountLeavesAsSamples) {
  config::Config config;
  EXPECT_EQ(OptimizerStepsText(config),
            "at most about 10 optimizer steps a batch, of about 6 problems each; fewer where "
            "problems are dropped");
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  EXPECT_EQ(OptimizerStepsText(config),
            "at most about 2 optimizer steps a batch, of about 32 problems each; fewer where "
            "problems are dropped");
  config.learner.minibatch_problems = 0;
  config.learner.steps_per_batch = 64;
  EXPECT_THAT(OptimizerStepsText(config),
              StartsWith("at most about 64 optimizer steps a batch, of about 1 problem each; "));
  config.learner.steps_per_batch = 1;
  EXPECT_EQ(OptimizerStepsText(config), "1 optimizer step a batch, of about 64 problems");
}

TEST(OptimizerSteps, AreNoMoreThanResponses) {
  config::Config config;
  config.learner.minibatch_problems = 0;
  config.learner.steps_per_batch = 1000;
  EXPECT_THAT(OptimizerStepsText(config),
              StartsWith("at most about 384 optimizer steps a batch, of about 0.2 problems each; "))
      << "6 of each of 64 problems";
}

TEST(OptimizerSteps, AreCountedForEachStageWithWhatItSets) {
  config::Config config;
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  config.stages = {{600, {{"algorithm.sampling.batch_problems", "32"}}},
                   {700, {{"rollout.max_response_tokens", "16384"}}}};
  EXPECT_EQ(
      OptimizerStepsText(config),
      "at most about 2 optimizer steps a batch, of about 32 problems each; fewer where "
      "problems are dropped\n"
      "        from step 600 on (algorithm.sampling.batch_problems 32) 1 optimizer step a "
      "batch, of about 32 problems\n"
      "        from step 700 on (rollout.max_response_tokens 16384) 1 optimizer step a batch, "
      "of about 32 problems");
}

TEST(SettingsWarnings, TellOfAStageThatTheRunNeverReaches) {
  config::Config config;
  config.stages = {{499, {}}, {500, {{"rollout.max_response_tokens", "16"}}}};
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre("the stage from step 500 is never reached: run.steps is 500"));
}

TEST(SettingsWarnings, NameTheStageFromWhichOnTheyHold) {
  config::Config config;
  config.learner.overlong_buffer = 7;
  config.stages = {{10, {{"rollout.max_response_tokens", "160"}}},
                   {20, {{"learner.learning_rate", "0.1"}}},
                   {30, {{"rollout.max_response_tokens", "8192"}}},
                   {40, {{"rollout.max_response_tokens", "160"}}}};
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre(HasSubstr("overlong_buffer"),
                          AllOf(StartsWith("from step 10 on: "), HasSubstr("no step qualifies")),
                          AllOf(StartsWith("from step 40 on: "), HasSubstr("no step qualifies"))));
}

TEST(SettingsWarnings, TellOfARateThatTheRunIsTooShortFor) {
  config::Config config;
  config.learner.warmup_steps = config.run.steps - 1;
  config.learner.decay_after = config.run.steps - 1;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
  config.learner.warmup_steps = config.run.steps;
  config.learner.decay_after = config.run.steps;
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre("learner.warmup_steps is 500, and run.steps is 500: the learning rate "
                          "never gets to learner.learning_rate",
                          "learner.decay_after is 500, and run.steps is 500: the learning rate "
                          "never decays"));
}

TEST(SettingsWarnings, TellOfAReferenceModelThatIsMovedAndNotUsed) {
  config::Config config;
  config.learner.offload_reference = config::OffloadReference::kDisk;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
  config.learner.kl_weight = 0;
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre("learner.offload_reference has no effect without learner.kl_weight"));
}

TEST(SettingsWarnings, TellOfKeysThatOnlyTheWalkOverScoredStepsReads) {
  config::Config config;
  config.algorithm.branching.choice = tree::Choice::kTop;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
  config.algorithm.branching.min_distance = 7;
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre("algorithm.branching.min_distance has no effect without "
                          "algorithm.branching.criterion: fci and algorithm.branching.choice: "
                          "positional"));
  config.algorithm.branching.choice = tree::Choice::kPositional;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  config.algorithm.branching.fill = false;
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre(HasSubstr("min_distance, algorithm.branching.fill have no effect")));
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
}

TEST(SettingsWarnings, TellOfSettingsThatNothingReads) {
  config::Config config;
  config.learner.decay_steps = 7;
  config.learner.overlong_buffer = 7;
  config.learner.importance_cap = 5;
  config.algorithm.advantage_std = false;
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre(HasSubstr("decay_steps"), HasSubstr("overlong_buffer"),
                          HasSubstr("importance_cap"), HasSubstr("advantage_std")));
  config.learner.decay_after = 1;
  config.learner.overlong = config::Overlong::kShape;
  config.learner.correction = config::Correction::kDecoupled;
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
}

TEST(SettingsWarnings, TellOfAdaptersBatchSizesAndRoundingThatNobodyReads) {
  config::Config config;
  config.learner.lora.targets = config::LoraTargets::kAttention;
  config.algorithm.sampling.adaptive_batch = false;
  config.algorithm.sampling.batch_max += 1;
  config.algorithm.sampling.expand = tree::Expand::kAll;
  config.algorithm.sampling.expand_rounding = tree::ExpandRounding::kNearest;
  EXPECT_THAT(SettingsWarnings(config, 100),
              ElementsAre(StartsWith("learner.lora.targets has no effect"),
                          StartsWith("algorithm.sampling.batch_max has no effect"),
                          StartsWith("algorithm.sampling.expand_rounding has no effect")));
  config.learner.lora.rank = 8;
  config.algorithm.sampling.adaptive_batch = true;
  config.algorithm.sampling.expand = tree::Expand::kDifficulty;
  EXPECT_THAT(SettingsWarnings(config, 100), IsEmpty());
}

}  // namespace
}  // namespace attnrl::tools
