// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/supervised.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"

namespace attnrl::learner {
namespace {

// Prompts of two tokens; the response repeats the first one three times and ends.
std::vector<SupervisedExample> Examples() {
  std::vector<SupervisedExample> examples;
  for (int32_t i = 0; i < 20; ++i) examples.push_back({{4 + i, 3}, {4 + i, 4 + i, 4 + i, 2}});
  return examples;
}

class SupervisedTest : public ::testing::Test {
 protected:
  SupervisedTest() : examples_(Examples()) { WriteTinyModel(folder_.path()); }

  std::unique_ptr<SupervisedTrainer> Make(const SupervisedOptions& options) {
    const model::ModelConfig config = TinyConfig(folder_.path());
    return std::make_unique<SupervisedTrainer>(
        config, model::RandomTensors(config, 1, model::DType::kFloat32), examples_, options);
  }

  TemporaryFolder folder_;
  std::vector<SupervisedExample> examples_;
};

TEST_F(SupervisedTest, LearnsItsExamplesAndNotTheirPrompts) {
  SupervisedOptions options{.steps = 60, .batch = 8, .warmup = 5};
  options.adamw.learning_rate = 2e-2;
  auto trainer = Make(options);
  const double first = trainer->Step()->loss;
  EXPECT_NEAR(first, std::log(32.0), 0.3);
  double last = 0;
  for (int64_t step = 1; step < options.steps; ++step) last = trainer->Step()->loss;
  EXPECT_LT(last, 0.5 * first);
}

TEST_F(SupervisedTest, TheSameSeedGivesTheSameBitsAndAnotherOneOtherBits) {
  std::string digests[3];
  for (int i = 0; i < 3; ++i) {
    auto trainer = Make({.steps = 10, .batch = 8, .seed = i == 2 ? uint64_t{1} : uint64_t{0}});
    for (int step = 0; step < 5; ++step) ASSERT_TRUE(trainer->Step().ok());
    digests[i] = model::Digest(trainer->Weights());
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_NE(digests[0], digests[2]);
}

TEST_F(SupervisedTest, ATemperatureBelowOneLeavesALessCertainModel) {
  double certain[2];
  for (int i = 0; i < 2; ++i) {
    SupervisedOptions options{
        .steps = 60, .batch = 8, .warmup = 5, .temperature = i == 0 ? 1 : 0.5};
    options.adamw.learning_rate = 2e-2;
    auto trainer = Make(options);
    for (int64_t step = 0; step < options.steps; ++step) ASSERT_TRUE(trainer->Step().ok());
    SupervisedTrainer at_one(TinyConfig(folder_.path()), trainer->Weights(), examples_,
                             {.batch = 20});
    certain[i] = at_one.Step()->loss;
  }
  EXPECT_GT(certain[1], certain[0]);
}

TEST_F(SupervisedTest, PassesOfAnyBudgetGiveTheSameLoss) {
  const double whole = Make({.batch = 8})->Step()->loss;
  const double parts = Make({.batch = 8, .max_rows = 7})->Step()->loss;
  EXPECT_NEAR(whole, parts, 1e-5);
}

TEST(LearningRateAt, WarmsUpAndThenStaysOrFalls) {
  SupervisedOptions options{.steps = 1000, .warmup = 50};
  options.adamw.learning_rate = 1;
  EXPECT_NEAR(LearningRateAt(options, 0), 0.02, 1e-12);
  EXPECT_NEAR(LearningRateAt(options, 49), 1, 1e-12);
  EXPECT_NEAR(LearningRateAt(options, 525), 0.55, 1e-9);
  EXPECT_NEAR(LearningRateAt(options, 1000), 0.1, 1e-9);
  options.schedule = LearningRateSchedule::kConstant;
  EXPECT_NEAR(LearningRateAt(options, 999), 1, 1e-12);
}

}  // namespace
}  // namespace attnrl::learner
