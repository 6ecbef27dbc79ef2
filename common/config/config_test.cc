// SPDX-License-Identifier: Apache-2.0
#include "common/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "common/config/key.h"
#include "common/config/key_kinds.h"
#include "common/config/testing/test_file.h"

namespace attnrl::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(CheckComplete, AsksForAModelAndForProblems) {
  Config config;
  EXPECT_THAT(Message(CheckComplete(config)), StartsWith("model.path: is not set"));
  config.model.path = "/m";
  EXPECT_THAT(Message(CheckComplete(config)), StartsWith("data.train: is not set"));
  config.data.train = "/t";
  EXPECT_TRUE(CheckComplete(config).ok());
}

TEST(ToYaml, ReadsBackToTheSameValues) {
  Config config;
  config.run.seed = std::numeric_limits<uint64_t>::max();
  config.learner.learning_rate = 1.0 / 3;
  config.learner.adam_epsilon = 1e-12;
  config.data.prompt_suffix = "a: \"b\"\n\t# \\ {x} \x1b é";
  config.data.eval = {"/a, b.jsonl", "/c\".jsonl"};
  config.model.path = "/with space/m";
  config.algorithm.name = AlgorithmName::kTreerl;
  config.algorithm.advantages = Advantages::kTree;
  config.algorithm.branching.criterion = tree::Criterion::kEarliest;
  const std::string yaml = ToYaml(config);
  const absl::StatusOr<Config> read = LoadText(yaml);
  ASSERT_TRUE(read.ok()) << read.status() << yaml;
  EXPECT_EQ(ToYaml(*read), yaml);
  EXPECT_EQ(read->learner.learning_rate, 1.0 / 3);
  EXPECT_EQ(read->data.prompt_suffix, config.data.prompt_suffix);
  EXPECT_EQ(read->data.eval, config.data.eval);
}

TEST(ToYaml, WritesNumbersThatEveryReaderTakesForNumbers) {
  EXPECT_EQ(PrintReal(1e-6), "1.0e-06");
  EXPECT_EQ(PrintReal(0.28), "0.28");
  EXPECT_EQ(PrintReal(1), "1");
}

TEST(ReferenceYaml, IsWhatTheRepositoryHas) {
  const std::string path = ATTNRL_SOURCE_DIR "/deploy/local/reference.yaml";
  if (std::getenv("WRITE_REFERENCE") != nullptr) std::ofstream(path) << ReferenceYaml();
  std::ifstream file(path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(text, ReferenceYaml()) << "run this test with WRITE_REFERENCE=1 to write it anew";
}

TEST(ReferenceYaml, IsAConfigurationOfTheDefaults) {
  const absl::StatusOr<Config> config = LoadText(ReferenceYaml());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(ToYaml(*config), ToYaml(Config()));
}

TEST(KeyHelp, ExplainsKeysAndSections) {
  EXPECT_EQ(*KeyHelp("run.steps"),
            "run.steps (default 500; a whole number from 1 to 1000000000): Training batches of the "
            "run, each of which makes one weight version.\n");
  EXPECT_THAT(*KeyHelp("algorithm.branching"),
              AllOf(HasSubstr("algorithm.branching.points ("), Not(HasSubstr("sampling"))));
  EXPECT_THAT(Message(KeyHelp("run.stepz").status()), HasSubstr("did you mean \"run.steps\"?"));
}

TEST(Name, GivesTheWordsOfTheFile) {
  EXPECT_EQ(WordOf(AlgorithmName::kTreerl), "treerl");
  EXPECT_EQ(WordOf(tree::Criterion::kFixedLength), "fixed_length");
  EXPECT_EQ(WordOf(pipeline::PipelineMode::kOnPolicy), "on_policy");
}

}  // namespace
}  // namespace attnrl::config
