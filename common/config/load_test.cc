// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/key.h"
#include "common/config/testing/test_file.h"

namespace attnrl::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Load, LeavesDefaultsWhereNothingIsSaid) {
  const Config config = *LoadText("");
  EXPECT_EQ(ToYaml(config), ToYaml(Config()));
  EXPECT_EQ(ToYaml(*LoadText("run:\ndata:\n")), ToYaml(Config()));
}

TEST(Load, PutsSettingsOverTheDefaultsWhereThereIsNoFile) {
  const absl::StatusOr<Config> config = Load("", {"run.steps=7"}, {{"ATTNRL_RUN_SEED", "3"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->run.steps, 7);
  EXPECT_EQ(config->run.seed, 3u);
}

TEST(Load, ReadsEveryType) {
  const Config config = *LoadText(
      "run: {seed: 18446744073709551615, steps: 40}\n"
      "rollout:\n  deterministic: true\n"
      "learner: {learning_rate: 3e-4}\n"
      "pipeline: {mode: on_policy}\n"
      "data: {prompt_suffix: \"a\\nb\"}\n");
  EXPECT_EQ(config.run.seed, 18446744073709551615u);
  EXPECT_EQ(config.run.steps, 40);
  EXPECT_TRUE(config.rollout.deterministic);
  EXPECT_EQ(config.learner.learning_rate, 3e-4);
  EXPECT_EQ(config.pipeline.mode, pipeline::PipelineMode::kOnPolicy);
  EXPECT_EQ(config.data.prompt_suffix, "a\nb");
}

TEST(Load, EnvironmentBeatsTheFileAndSetBeatsBoth) {
  const std::string file = "run: {steps: 1, seed: 1, max_empty_batches: 1}";
  const Config config =
      *LoadText(file, {"run.seed=3"}, {{"ATTNRL_RUN_SEED", "2"}, {"ATTNRL_RUN_STEPS", "2"}});
  EXPECT_EQ(config.run.seed, 3u);
  EXPECT_EQ(config.run.steps, 2);
  EXPECT_EQ(config.run.max_empty_batches, 1);
}

TEST(Load, TheLastSetWins) {
  EXPECT_EQ(LoadText("", {"run.steps=1", "run.steps=2"})->run.steps, 2);
}

TEST(Load, ReportsVariablesThatNameNoKey) {
  const Config config = *LoadText("", {},
                                  {{"ATTNRL_RUN_STEPS", "7"},
                                   {"ATTNRL_RUN_STEP", "8"},
                                   {"ATTNRL_SHARED", "/x"},
                                   {"HOME", "/"},
                                   {"ATTNRL_", ""}});
  EXPECT_THAT(config.ignored_variables,
              ElementsAre("ATTNRL_", "ATTNRL_RUN_STEP (did you mean ATTNRL_RUN_STEPS?)"))
      << "what the build and the tests read is no mistake";
}

TEST(Load, ResolvesPathsOfAFileAgainstItsFolder) {
  const TestFile file(
      "model: {path: model/}\n"
      "data: {train: ../t.jsonl, eval: [e.jsonl, /abs/e.jsonl]}\n"
      "scheduler: {address: \"unix:s.sock\", database: s.db}\n"
      "learner: {address: \"host:1\"}\n");
  const Config config = *Load(file.path(), {}, {});
  const std::string parent = std::filesystem::path(file.folder()).parent_path().string();
  EXPECT_EQ(config.model.path, file.folder() + "/model");
  EXPECT_EQ(config.data.train, parent + "/t.jsonl");
  EXPECT_THAT(config.data.eval, ElementsAre(file.folder() + "/e.jsonl", "/abs/e.jsonl"));
  EXPECT_EQ(config.scheduler.address, "unix:" + file.folder() + "/s.sock");
  EXPECT_EQ(config.scheduler.database, file.folder() + "/s.db");
  EXPECT_EQ(config.learner.address, "host:1");
}

TEST(Load, ResolvesOtherPathsAgainstTheWorkingDirectory) {
  const std::string here = std::filesystem::current_path().string();
  const Config config = *LoadText("", {"model.path=m", "data.eval=[a.jsonl, b.jsonl]"},
                                  {{"ATTNRL_DATA_TRAIN", "t.jsonl"}});
  EXPECT_EQ(config.model.path, here + "/m");
  EXPECT_EQ(config.data.train, here + "/t.jsonl");
  EXPECT_THAT(config.data.eval, ElementsAre(here + "/a.jsonl", here + "/b.jsonl"));
  EXPECT_THAT(LoadText("", {"data.eval=a.jsonl"})->data.eval, ElementsAre(here + "/a.jsonl"));
  EXPECT_TRUE(LoadText("data: {eval: [a]}", {"data.eval="})->data.eval.empty());
}

TEST(LoadErrors, NameTheLineAndTheNearestKey) {
  EXPECT_THAT(ErrorOf("run:\n  steps: 3\n  sede: 1\n"),
              StartsWith("run.yaml:3: unknown key \"run.sede\"; did you mean \"run.seed\"? in run "
                         "there is id, steps, seed, max_empty_batches"));
  EXPECT_THAT(ErrorOf("rollouts:\n  workers: 1\n"), HasSubstr("did you mean \"rollout\"?"));
  EXPECT_THAT(ErrorOf("run: {learning_rate: 1}\n"),
              HasSubstr("did you mean \"learner.learning_rate\"?"));
  EXPECT_THAT(ErrorOf("stage: [{from_step: 3}]\n"), HasSubstr("did you mean \"stages\"?"));
  EXPECT_THAT(ErrorOf("qqqqqqqqqqqq: 1\n"), HasSubstr("; there is run, model, data"));
}

TEST(LoadErrors, SayWhatWasFoundAndWhatIsAllowed) {
  EXPECT_EQ(ErrorOf("run:\n  steps: many\n"),
            "run.yaml:2: run.steps is \"many\"; a whole number from 1 to 1000000000");
  EXPECT_EQ(ErrorOf("run: {steps: 0}"),
            "run.yaml:1: run.steps is \"0\"; a whole number from 1 to 1000000000");
  EXPECT_EQ(ErrorOf("rollout: {deterministic: yes}"),
            "run.yaml:1: rollout.deterministic is \"yes\"; true or false");
  EXPECT_EQ(ErrorOf("pipeline: {mode: fast}"),
            "run.yaml:1: pipeline.mode is \"fast\"; overlapped | sequential | on_policy");
  EXPECT_EQ(ErrorOf("pipeline: {mode: overlaped}"),
            "run.yaml:1: pipeline.mode is \"overlaped\"; did you mean overlapped? overlapped | "
            "sequential | on_policy");
  EXPECT_THAT(ErrorOf("", {"algorithm.name=AttnRL"}), HasSubstr("; did you mean attnrl? "));
  EXPECT_EQ(ErrorOf("learner: {learning_rate: [1, 2]}"),
            "run.yaml:1: learner.learning_rate is [1, 2]; a number from 0 to 1");
  for (const char* wrong : {"1.5", "-1", "\"5\"", "1e3", "nan", "5x", "''", "{a: 1}", "", "~"}) {
    EXPECT_THAT(ErrorOf(std::string("run: {steps: ") + wrong + "}"), HasSubstr("run.steps"))
        << wrong;
  }
  for (const char* wrong : {"nan", "inf", "2", "-1e-9", "1e", "x"}) {
    EXPECT_THAT(ErrorOf(std::string("learner: {learning_rate: ") + wrong + "}"),
                HasSubstr("a number from 0 to 1"))
        << wrong;
  }
}

TEST(LoadErrors, NameTheVariableAndTheFlag) {
  EXPECT_EQ(ErrorOf("", {"run.steps=x"}),
            "--set run.steps=x: run.steps is \"x\"; a whole number from 1 to 1000000000");
  EXPECT_EQ(ErrorOf("", {}, {{"ATTNRL_RUN_STEPS", "x"}}),
            "ATTNRL_RUN_STEPS: run.steps is \"x\"; a whole number from 1 to 1000000000");
  EXPECT_EQ(ErrorOf("", {"run.steps"}), "--set run.steps: has no \"=\"; a.b=value");
  EXPECT_THAT(
      ErrorOf("", {"run.step=1"}),
      StartsWith("--set run.step=1: unknown key \"run.step\"; did you mean \"run.steps\"?"));
  EXPECT_THAT(ErrorOf("", {"run=1"}), HasSubstr("\"run\" is a section"));
  EXPECT_THAT(ErrorOf("", {"data.eval=[a"}), HasSubstr("a list of paths"));
}

TEST(LoadErrors, NameTheLineOfWhatIsNoYaml) {
  EXPECT_THAT(ErrorOf("run:\n  steps: [1\n"), HasSubstr("not YAML"));
  EXPECT_THAT(ErrorOf("run:\n\tsteps: 1\n"), StartsWith("run.yaml:2: not YAML"));
  EXPECT_THAT(ErrorOf("- run\n"), StartsWith("run.yaml:1: the file is a list, no configuration; "));
  EXPECT_THAT(ErrorOf("run: 5\n"), HasSubstr("run is a section"));
  EXPECT_THAT(ErrorOf("run:\n  steps: 1\n  steps: 2\n"),
              StartsWith("run.yaml:3: key \"run.steps\" is there twice"));
  EXPECT_THAT(ErrorOf("run:\n  steps: 1\nrun:\n  seed: 2\n"), HasSubstr("\"run\" is there twice"));
  EXPECT_THAT(ErrorOf("run:\n  steps: 1\n---\nrun:\n  sede: 2\n"),
              HasSubstr("a second document begins here; one is read"));
}

TEST(LoadErrors, NameAFileThatCannotBeRead) {
  EXPECT_EQ(Load("/nowhere/run.yaml", {}, {}).status().message(),
            "/nowhere/run.yaml: No such file or directory; a configuration file is needed");
  EXPECT_THAT(std::string(Load("/tmp", {}, {}).status().message()), HasSubstr("is a directory"));
}

TEST(Presets, SetTheirParts) {
  const Config attnrl = *LoadText("algorithm: {name: attnrl}");
  EXPECT_EQ(attnrl.algorithm.branching.criterion, tree::Criterion::kFci);
  EXPECT_EQ(attnrl.algorithm.advantages, Advantages::kTree);
  EXPECT_TRUE(attnrl.algorithm.sampling.adaptive_batch);
  EXPECT_TRUE(attnrl.algorithm.sampling.filter_solved);
  EXPECT_TRUE(attnrl.algorithm.sampling.difficulty_expansion);
  EXPECT_FALSE(attnrl.algorithm.sampling.drop_all_solved);
  const Config treerl = *LoadText("algorithm: {name: treerl}");
  EXPECT_EQ(treerl.algorithm.branching.criterion, tree::Criterion::kEntropy);
  EXPECT_EQ(treerl.algorithm.advantages, Advantages::kTree);
  EXPECT_FALSE(treerl.algorithm.sampling.difficulty_expansion);
  const Config grpo = *LoadText("algorithm: {name: grpo}");
  EXPECT_EQ(grpo.algorithm.branching.criterion, tree::Criterion::kNone);
  EXPECT_EQ(grpo.algorithm.advantages, Advantages::kGroup);
}

TEST(Presets, LoseAgainstKeysOfTheSameSource) {
  const Config config = *LoadText("algorithm: {branching: {criterion: earliest}, name: treerl}");
  EXPECT_EQ(config.algorithm.branching.criterion, tree::Criterion::kEarliest);
  EXPECT_EQ(LoadText("", {"algorithm.branching.criterion=earliest", "algorithm.name=treerl"})
                ->algorithm.branching.criterion,
            tree::Criterion::kEarliest);
}

TEST(Presets, LoseAgainstKeysOfAStrongerSource) {
  EXPECT_EQ(LoadText("algorithm: {name: treerl}", {"algorithm.branching.criterion=earliest"})
                ->algorithm.branching.criterion,
            tree::Criterion::kEarliest);
}

TEST(Presets, WinAgainstKeysOfAWeakerSource) {
  const std::string file = "algorithm: {name: treerl, branching: {criterion: earliest, points: 5}}";
  const Config config = *LoadText(file, {"algorithm.name=grpo"});
  EXPECT_EQ(config.algorithm.name, AlgorithmName::kGrpo);
  EXPECT_EQ(config.algorithm.branching.criterion, tree::Criterion::kNone);
  // Not part of the preset.
  EXPECT_EQ(config.algorithm.branching.points, 5);
  EXPECT_EQ(
      LoadText(file, {}, {{"ATTNRL_ALGORITHM_NAME", "treerl"}})->algorithm.branching.criterion,
      tree::Criterion::kEntropy);
}

TEST(Presets, OfTheStrongestSourceCounts) {
  EXPECT_EQ(LoadText("algorithm: {name: grpo}", {"algorithm.name=treerl"},
                     {{"ATTNRL_ALGORITHM_NAME", "grpo"}})
                ->algorithm.branching.criterion,
            tree::Criterion::kEntropy);
}

TEST(Environment, HoldsTheProcesssVariables) {
  ASSERT_EQ(::setenv("ATTNRL_TEST_VARIABLE", "a=b", 1), 0);
  EXPECT_EQ(Environment()["ATTNRL_TEST_VARIABLE"], "a=b");
}

TEST(Schema, HasDistinctNamesAndVariables) {
  std::set<std::string> names;
  for (const auto& key : Schema()) {
    EXPECT_TRUE(names.insert(key->name()).second) << key->name();
    EXPECT_TRUE(names.insert(key->variable()).second) << key->variable();
    EXPECT_TRUE(IsSection(key->section())) << key->name();
    EXPECT_FALSE(key->comment().empty());
  }
}

TEST(Schema, HasEveryFixedName) {
  for (const char* name : {"run.seed",
                           "run.steps",
                           "model.path",
                           "model.dtype",
                           "model.chat_template",
                           "data.train",
                           "data.eval",
                           "algorithm.name",
                           "data.prompt_suffix",
                           "algorithm.branching.criterion",
                           "algorithm.branching.choice",
                           "algorithm.branching.points",
                           "algorithm.branching.children",
                           "algorithm.branching.quantile",
                           "algorithm.branching.min_distance",
                           "algorithm.branching.delta",
                           "algorithm.sampling.initial_responses",
                           "algorithm.sampling.batch_problems",
                           "algorithm.sampling.batch_min",
                           "algorithm.sampling.batch_max",
                           "algorithm.sampling.adaptive_batch",
                           "algorithm.sampling.filter_solved",
                           "algorithm.sampling.drop_all_solved",
                           "algorithm.sampling.difficulty_expansion",
                           "algorithm.sampling.expand_rounding",
                           "pipeline.mode",
                           "rollout.max_response_tokens",
                           "rollout.temperature",
                           "rollout.deterministic",
                           "rollout.fci_method",
                           "learner.learning_rate",
                           "learner.minibatch_problems",
                           "learner.kl_weight",
                           "learner.checkpoint_every",
                           "learner.checkpoints_kept",
                           "learner.mask_truncated",
                           "run.max_empty_batches",
                           "security.allow_plaintext",
                           "observe.metrics_address"}) {
    EXPECT_NE(FindKey(name), nullptr) << name;
  }
}

}  // namespace
}  // namespace attnrl::config
