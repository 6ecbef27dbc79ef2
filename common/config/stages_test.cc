// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/testing/test_file.h"

namespace attnrl::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTwoStages[] =
    "rollout: {max_response_tokens: 8192}\n"
    "stages:\n"
    "  - from_step: 10\n"
    "    rollout.max_response_tokens: 16384\n"
    "    algorithm: {sampling: {batch_problems: 32}}\n"
    "  - {from_step: 20, learner.learning_rate: 5e-7}\n";

TEST(Stages, HoldFromTheirStepOnUntilALaterOneChangesThem) {
  const auto config = LoadText(kTwoStages);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->rollout.max_response_tokens, 8192);
  EXPECT_EQ(AtStep(*config, 9).rollout.max_response_tokens, 8192);
  EXPECT_EQ(AtStep(*config, 10).rollout.max_response_tokens, 16384);
  EXPECT_EQ(AtStep(*config, 10).algorithm.sampling.batch_problems, 32);
  EXPECT_EQ(AtStep(*config, 19).learner.learning_rate, 1e-6);
  const Config last = AtStep(*config, 1000);
  EXPECT_EQ(last.rollout.max_response_tokens, 16384) << "no later stage sets it";
  EXPECT_EQ(last.learner.learning_rate, 5e-7);
}

TEST(Stages, CountWithTheirLargestValuesInEstimates) {
  const auto config = LoadText(kTwoStages);
  ASSERT_TRUE(config.ok()) << config.status();
  const Config widest = Widest(*config);
  EXPECT_EQ(widest.rollout.max_response_tokens, 16384);
  EXPECT_EQ(widest.algorithm.sampling.batch_problems, 64);
  EXPECT_EQ(widest.learner.learning_rate, 1e-6);
}

TEST(Stages, ReadBackFromTheResolvedFile) {
  const auto config = LoadText(kTwoStages);
  ASSERT_TRUE(config.ok()) << config.status();
  const auto again = LoadText(ToYaml(*config));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ToYaml(*again), ToYaml(*config));
  EXPECT_EQ(AtStep(*again, 20).rollout.max_response_tokens, 16384);
}

TEST(Stages, HaveDataOfTheirOwnByPathsFromTheFilesFolder) {
  const auto config = LoadText(
      "data: {train: a.jsonl}\n"
      "stages:\n"
      "  - {from_step: 5, learner.learning_rate: 5e-7}\n"
      "  - {from_step: 10, data: {train: 'b \"c\".jsonl'}}\n"
      "  - {from_step: 20, data.train: a.jsonl}\n"
      "  - {from_step: 30, data.train: ./a.jsonl}\n");
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string folder = config->data.train.substr(0, config->data.train.rfind('/'));
  EXPECT_EQ(TrainingSets(*config), (std::vector<TrainingSet>{{0, folder + "/a.jsonl"},
                                                             {10, folder + "/b \"c\".jsonl"},
                                                             {20, folder + "/a.jsonl"}}));
  const auto again = LoadText(ToYaml(*config));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(TrainingSets(*again), TrainingSets(*config));
  EXPECT_EQ(ToYaml(*again), ToYaml(*config));
  EXPECT_EQ(TrainingSets(Config()).size(), 1u);
}

TEST(Stages, WithoutTheirDataAreNotComplete) {
  auto config = LoadText(
      "model: {path: m}\ndata: {train: a.jsonl}\nstages:\n  - {from_step: 10, data.train: ''}\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(CheckComplete(*config).message(),
              HasSubstr("data.train of the stage from step 10: is not set"));
}

TEST(Stages, AreFixedWhenARunGoesOn) {
  const auto config = LoadText(kTwoStages);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(CheckResume(*config, *config).ok());
  Config other = *config;
  other.stages.pop_back();
  EXPECT_THAT(CheckResume(*config, other).message(), HasSubstr("stages"));
  EXPECT_NE(Fingerprint(*config), Fingerprint(other));
  other.stages.clear();
  EXPECT_FALSE(Fingerprint(other).contains("stages")) << "a run of before there were stages";
}

TEST(Stages, StandInAFileOnly) {
  EXPECT_EQ(Load("", {"stages=[]"}, {}).status().message(),
            "--set stages=[]: stages are a list of maps; a file can hold them, --set can't");
  for (const char* none : {"stages:\n", "stages: []\n", "stages:\n  # - from_step: 2\n"}) {
    const auto config = LoadText(none);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_TRUE(config->stages.empty());
  }
}

TEST(Stages, AreRefusedAtTheirLine) {
  const std::string form = "; a list of {from_step: 100, learner.learning_rate: 5e-7} and the like";
  EXPECT_EQ(ErrorOf("stages: 3\n"), "run.yaml:1: stages is no list" + form);
  EXPECT_EQ(ErrorOf("stages:\n  - 3\n"), "run.yaml:2: a stage is no map of keys" + form);
  const std::string begins = "a stage without a step to begin at" + form;
  EXPECT_EQ(ErrorOf("stages:\n  - {}\n"), "run.yaml:2: " + begins);
  EXPECT_EQ(ErrorOf("stages:\n  - {from_step: soon}\n"), "run.yaml:2: " + begins);
  EXPECT_THAT(ErrorOf("stages:\n  - {from_step: 2}\n  - {from_step: 2}\n"),
              HasSubstr("run.yaml:3: a stage from step 2; a step from 3 to 1000000000"));
  EXPECT_THAT(ErrorOf("stages:\n  - {from_step: 0}\n"), HasSubstr("a step from 1 to"));
  EXPECT_THAT(ErrorOf("stages:\n  - from_step: 2\n    from_step: 3\n"), HasSubstr("twice"));
  EXPECT_THAT(ErrorOf("stages:\n  - from_step: 2\n    stages: []\n"),
              HasSubstr("run.yaml:3: a stage within a stage"));
}

TEST(Stages, SetOnlyWhatMayChangeAndOnlyToWhatIsAllowed) {
  EXPECT_THAT(ErrorOf("stages:\n  - from_step: 2\n    learner.clip_low: 0.1\n"),
              HasSubstr("run.yaml:3: learner.clip_low can't change within a run; a stage sets"));
  EXPECT_THAT(ErrorOf("stages:\n  - from_step: 2\n    learner.learning_rte: 0.1\n"),
              HasSubstr("did you mean \"learner.learning_rate\"?"));
  EXPECT_THAT(ErrorOf("stages:\n  - from_step: 2\n    learner.learning_rate: fast\n"),
              HasSubstr("run.yaml:3: learner.learning_rate is \"fast\""));
  EXPECT_THAT(ErrorOf("algorithm: {name: grpo}\n"
                      "stages:\n  - from_step: 2\n    algorithm.sampling.initial_responses: 1\n"),
              HasSubstr("run.yaml:4: algorithm.sampling.initial_responses is 1; at least 2"));
}

TEST(Stages, AreExplained) {
  EXPECT_THAT(*KeyHelp("stages"), HasSubstr("from_step: 1000"));
  EXPECT_THAT(ToYaml(Config()), Not(HasSubstr("stages")));
}

}  // namespace
}  // namespace attnrl::config
