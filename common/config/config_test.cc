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

TEST(Validate, AcceptsTheDefaults) { EXPECT_TRUE(Validate(Config()).ok()); }

TEST(Validate, RefusesTruncatedSamplingInTraining) {
  EXPECT_EQ(ErrorOf("rollout:\n  top_p: 0.9\n"), "run.yaml:2: rollout.top_p is 0.9; 1 in training");
  EXPECT_EQ(ErrorOf("", {"rollout.top_k=50"}),
            "--set rollout.top_k=50: rollout.top_k is 50; 0 (all tokens) in training");
}

TEST(Validate, RefusesSwitchesOfExpansionWhereNothingBranches) {
  for (const char* key : {"filter_solved", "drop_all_solved", "difficulty_expansion"}) {
    EXPECT_THAT(
        ErrorOf("algorithm: {name: grpo}", {std::string("algorithm.sampling.") + key + "=true"}),
        HasSubstr(std::string(key) + " is true; false, as no response branches"));
  }
  EXPECT_TRUE(LoadText("algorithm: {name: grpo, sampling: {adaptive_batch: true}}").ok());
}

TEST(Validate, RefusesScoresWhileDecoding) {
  EXPECT_THAT(ErrorOf("rollout:\n  fci_method: online\n"),
              StartsWith("run.yaml:2: rollout.fci_method is online; recompute"));
}

TEST(Validate, TakesEveryCriterion) {
  for (const char* criterion : {"fci", "entropy", "random", "fixed_length", "earliest"}) {
    EXPECT_TRUE(LoadText("", {std::string("algorithm.branching.criterion=") + criterion}).ok())
        << criterion;
  }
}

TEST(Validate, KeepsBranchingAndAdvantagesTogether) {
  EXPECT_THAT(ErrorOf("algorithm: {name: grpo, branching: {criterion: earliest}}"),
              HasSubstr("none, as grpo does not branch"));
  EXPECT_THAT(ErrorOf("algorithm: {name: treerl, advantages: group}"),
              HasSubstr("algorithm.advantages is group; tree"));
  EXPECT_THAT(ErrorOf("algorithm: {name: treerl, branching: {criterion: none}}"),
              HasSubstr("algorithm.advantages is tree; group"));
  EXPECT_TRUE(LoadText("algorithm: {name: treerl, branching: {criterion: earliest}}").ok());
}

TEST(Validate, NamesLimitsThatContradictEachOther) {
  EXPECT_EQ(ErrorOf("algorithm: {sampling: {batch_min: 9, batch_max: 8}}"),
            "run.yaml:1: algorithm.sampling.batch_min is 9; at most batch_max, which is 8");
  EXPECT_THAT(ErrorOf("algorithm: {name: grpo, sampling: {initial_responses: 1}}"),
              HasSubstr("at least 2, as a group is compared with itself"));
}

TEST(Validate, ChecksValuesThatAProgramAssigned) {
  Config config;
  config.learner.learning_rate = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(Message(Validate(config)), StartsWith("learner.learning_rate: is nan; "));
  config = Config();
  config.rollout.slots = 0;
  EXPECT_EQ(Message(Validate(config)), "rollout.slots: is 0; a whole number from 1 to 65536");
  config = Config();
  config.model.dtype = "float16";
  EXPECT_FALSE(Validate(config).ok());
}

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

TEST(CheckResume, LetsARunGoOnLongerWithOtherWorkersAndServices) {
  const Config before = *LoadText("");
  const Config now = *LoadText(
      "run: {steps: 900}\n"
      "rollout: {workers: 3, threads: 2, slots: 8}\n"
      "observe: {log_level: debug}\n"
      "learner: {checkpoint_every: 5, checkpoints_kept: 1, address: \"a:1\"}\n"
      "verifier: {children: 2, timeout_ms: 50}\n"
      "scheduler: {lease_seconds: 5}\n"
      "security: {allow_plaintext: true}\n");
  EXPECT_TRUE(CheckResume(before, now).ok());
}

TEST(CheckResume, NamesEveryKeyThatMayNotDiffer) {
  const Config before = *LoadText("");
  const Config now = *LoadText(
      "run: {seed: 7}\nmodel: {path: /m}\ndata: {train: /t}\n"
      "algorithm: {branching: {points: 3}}\npipeline: {mode: sequential}\n"
      "rollout: {deterministic: true, temperature: 0.5}\n"
      "learner: {threads: 2, learning_rate: 0.1}\n");
  const absl::Status status = CheckResume(before, now);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(Message(status),
              StartsWith("--resume: the run was begun otherwise: run.seed (was 0, is 7)"));
  for (const char* key : {"model.path", "data.train", "algorithm.branching.points", "pipeline.mode",
                          "rollout.deterministic", "rollout.temperature", "learner.threads",
                          "learner.learning_rate"}) {
    EXPECT_THAT(Message(status), HasSubstr(key));
  }
  EXPECT_THAT(Message(status), Not(HasSubstr("run.steps")));
}

TEST(Fingerprint, HoldsWhatCheckResumeHoldsFast) {
  const auto fingerprint = Fingerprint(Config());
  EXPECT_EQ(fingerprint.at("run.seed"), "0");
  EXPECT_TRUE(fingerprint.contains("model.dtype"));
  EXPECT_FALSE(fingerprint.contains("run.steps"));
  EXPECT_FALSE(fingerprint.contains("verifier.children"));
}

}  // namespace
}  // namespace attnrl::config
