// SPDX-License-Identifier: Apache-2.0
#include "services/learner/options.h"

#include <gtest/gtest.h>

namespace attnrl::learner {
namespace {

TEST(TrainerOptionsOf, HasTheLearningRateAsTheConfigurationShapesIt) {
  config::Config config;
  config.learner.learning_rate = 0.5;
  const auto rate = [&config](int64_t step) {
    const TrainerOptions options = TrainerOptionsOf(config);
    return LearningRateAt(options.rate, options.first.learning_rate, step);
  };
  EXPECT_EQ(rate(0), 0.5);
  EXPECT_EQ(rate(1'000'000), 0.5);
  config.learner.warmup_steps = 3;
  config.learner.decay_after = 10;
  config.learner.decay_steps = 4;
  EXPECT_DOUBLE_EQ(rate(0), 0.5 / 4);
  EXPECT_DOUBLE_EQ(rate(10), 0.5 * (1 - 0.9 / 4));
  EXPECT_DOUBLE_EQ(rate(13), 0.5 * 0.1);
  config.learner.decay = config::Decay::kCosine;
  config.learner.decay_to = 0;
  EXPECT_DOUBLE_EQ(rate(11), 0.5 / 2);
  EXPECT_NEAR(rate(13), 0, 1e-15);
}

TEST(TrainerOptionsOf, PutsTheReferenceModelWhereTheConfigurationSays) {
  config::Config config;
  EXPECT_EQ(TrainerOptionsOf(config, "/run").reference.place, ReferencePlace::kDevice);
  config.learner.offload_reference = config::OffloadReference::kCpu;
  EXPECT_EQ(TrainerOptionsOf(config, "/run").reference.place, ReferencePlace::kHost);
  config.learner.offload_reference = config::OffloadReference::kDisk;
  EXPECT_EQ(TrainerOptionsOf(config, "/run").reference.place, ReferencePlace::kDisk);
  EXPECT_EQ(TrainerOptionsOf(config, "/run").reference.folder, "/run");
}

TEST(SettingsOfAllRanks, NamesTheCourseOfTheLearningRate) {
  config::Config config;
  config.learner.decay_after = 1;
  config.learner.decay = config::Decay::kCosine;
  const auto settings = SettingsOfAllRanks(config);
  EXPECT_EQ(settings.at("learner.decay"), "cosine");
  EXPECT_EQ(settings.at("learner.decay_to"), "0.1");
}

}  // namespace
}  // namespace attnrl::learner
