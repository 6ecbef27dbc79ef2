// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/config/config.h"
#include "common/model/files/weights.h"
#include "services/learner/checkpoint/checkpoint.h"
#include "services/learner/options.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/train/numerics.h"
#include "services/learner/train/tree_samples.h"
#include "services/learner/versions/version_file.h"
#include "tools/attnrl/testing/captured_output.h"
#include "tools/attnrl/testing/command_test.h"

namespace attnrl::tools {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

class LearnBenchCommand : public CommandTest {
 protected:
  void SetUp() override {
    learner::WriteTinyModel(Model());
    const model::ModelConfig config = learner::TinyConfig(Model());
    ASSERT_TRUE(model::WriteSafetensors(Model() + "/model.safetensors",
                                        model::RandomTensors(config, 1, model::DType::kFloat32),
                                        {{"format", "pt"}})
                    .ok());
  }

  std::string Model() const { return folder_ / "model"; }

  // What the command prints about batches of `input`.
  static Json Bench(const std::string& model, const std::string& input,
                    const std::vector<std::string>& more) {
    std::vector<std::string> words = {"learn-bench", "--model", model, "--input", input};
    words.insert(words.end(), more.begin(), more.end());
    const CapturedOutput output;
    const absl::Status status = Run(words);
    EXPECT_TRUE(status.ok()) << status;
    return status.ok() ? Json::parse(output.out()) : Json();
  }
};

TEST_F(LearnBenchCommand, ComputesTheSameLossWhetherItPacksOrNot) {
  const Json batch = Json::parse(R"({"batch":0,"position":0,"problem_id":"p","kept":"all",
    "prompt_ids":[17,6,5],"responses":[{"token_ids":[18,6,17,10],"logprobs":[-1,-1,-1,-1],
    "finish_reason":"stop","version":0,"reward":1.0,"segments":[[2,0.5],[2,1]],"branches":[
    {"split":2,"children":[{"token_ids":[5,10],"logprobs":[-1,-1],"finish_reason":"length",
    "version":0,"reward":0.0,"segments":[[2,0.5],[2,-1]]}]}]}]})");
  const std::string input = folder_.Write("trees/batch-0.jsonl", batch.dump());
  const Json packed = Bench(Model(), input, {"--packed"});
  const Json unpacked = Bench(Model(), input, {"--unpacked"});
  EXPECT_NEAR(packed["loss"].get<double>(), unpacked["loss"].get<double>(), 1e-5);
  EXPECT_NEAR(packed["grad_norm"].get<double>(), unpacked["grad_norm"].get<double>(), 1e-4);
  EXPECT_EQ(packed["unpacked_tokens"], 12);
  EXPECT_EQ(unpacked["tokens"], 12);
  EXPECT_LT(packed["tokens"], 12);
}

TEST_F(LearnBenchCommand, TakesSettingsOverTheDefaultsWithoutAFile) {
  const Json batch = Json::parse(R"({"batch":0,"position":0,"problem_id":"p","kept":"all",
    "prompt_ids":[17],"responses":[{"token_ids":[18,6],"logprobs":[-1,-1],
    "finish_reason":"stop","version":0,"reward":1.0,"segments":[[2,0.5]],"branches":[]}]})");
  const std::string input = folder_.Write("trees/batch-0.jsonl", batch.dump());
  const auto loss = [&](const std::string& set) {
    return Bench(Model(), input, {"--set", set})["loss"].get<double>();
  };
  EXPECT_GT(loss("learner.entropy_weight=0"), loss("learner.entropy_weight=1"));
  EXPECT_EQ(loss("learner.offload_reference=disk"), loss("learner.offload_reference=none"));
}

TEST_F(LearnBenchCommand, RefusesSettingsThatItWouldIgnore) {
  const auto refusal = [&](const std::string& set) {
    return Refused(Run({"learn-bench", "--model", Model(), "--input", "none", "--set", set}));
  };
  EXPECT_EQ(refusal("learner.ranks=2"),
            "learner.ranks: is 2, and learn-bench is one process; --set learner.ranks=1");
  EXPECT_EQ(refusal("learner.threads=2"),
            "--set learner.threads=2: has no effect on learn-bench; --threads N");
  EXPECT_THAT(refusal("learner.ranks=1"), StartsWith("none: can't be read"));
}

// A run of three batches with checkpoints of steps 0 and 2, whose last batch is a file.
class ReplayedRun : public LearnBenchCommand {
 protected:
  void SetUp() override {
    LearnBenchCommand::SetUp();
    learner::FixNumerics(1);
  }

  // Trains the batches; what the last of them came to.
  scheduler::TrainStatistics Train(const scheduler::TrainingBatch& last) {
    const auto config = config::Load("", kSettings, {});
    EXPECT_TRUE(config.ok()) << config.status();
    const auto trainer = learner::TinyTrainer(Model(), learner::TrainerOptionsOf(*config));
    const auto store = learner::CheckpointStore::Open(folder_ / "run").value();
    Write(0, *store, *trainer);
    for (uint32_t b = 0; b < 2; ++b) {
      EXPECT_TRUE(trainer->Train(learner::TinyBatch(b), nullptr).ok());
    }
    Write(2, *store, *trainer);
    EXPECT_TRUE(learner::WriteTreeSamples(Last(), last).ok());
    return trainer->Train(last, nullptr).value();
  }

  std::string Last() const { return folder_ / "run/batch-2.jsonl"; }
  std::string Checkpoint() const { return folder_ / "run/checkpoints/step-2"; }

  Json Replay() const { return Bench(Checkpoint(), Last(), With({"--replay"})); }
  static std::vector<std::string> With(std::vector<std::string> words) {
    for (const std::string& set : kSettings) words.insert(words.end(), {"--set", set});
    return words;
  }

 private:
  static inline const std::vector<std::string> kSettings = {
      "run.seed=3", "learner.learning_rate=0.05", "learner.minibatch_problems=2",
      "learner.kl_weight=0.5", "algorithm.sampling.initial_responses=4"};

  void Write(uint32_t step, learner::CheckpointStore& store, learner::Trainer& trainer) {
    auto version = std::make_shared<const learner::VersionData>(
        learner::ToVersionData(step, trainer.parameters().leaves()));
    const std::string file = folder_ / "version.safetensors";
    ASSERT_TRUE(learner::WriteVersionFile(file, *version).ok());
    ASSERT_TRUE(store
                    .Begin({.step = step, .digest = version->version.digest}, Model(),
                           {version, file}, trainer)
                    .ok());
    ASSERT_TRUE(store.TakeComplete(trainer, /*wait=*/true).ok());
  }
};

TEST_F(ReplayedRun, TakesTheStepsThatTheRunTook) {
  const scheduler::TrainStatistics run = Train(learner::TinyBatch(2));
  ASSERT_GT(run.kl, 0);
  const Json replayed = Replay();
  EXPECT_DOUBLE_EQ(replayed["loss"].get<double>(), run.loss);
  EXPECT_DOUBLE_EQ(replayed["grad_norm"].get<double>(), run.grad_norm);
  EXPECT_EQ(replayed["optimizer_steps"], run.optimizer_steps);
  EXPECT_EQ(replayed["nonfinite_steps"], 0);
  // Otherwise the checkpoint is its own reference, and the optimizer has no moments.
  EXPECT_NE(Bench(Checkpoint(), Last(), With({}))["loss"].get<double>(), run.loss);
}

TEST_F(ReplayedRun, FindsTheStepsThatWereNotFinite) {
  scheduler::TrainingBatch batch = learner::TinyBatch(2);
  batch.samples[1].advantages[0].advantage = 1e300;  // more than a float32 can be
  const scheduler::TrainStatistics run = Train(batch);
  ASSERT_EQ(run.nonfinite_steps, 1u);
  ASSERT_EQ(run.optimizer_steps, 1u);
  const Json replayed = Replay();
  EXPECT_EQ(replayed["nonfinite_steps"], 1);
  EXPECT_EQ(replayed["optimizer_steps"], 1);
}

TEST_F(ReplayedRun, NeedsACheckpointFromBeforeTheBatchAndTheStartOfTheRun) {
  Train(learner::TinyBatch(2));
  const auto refusal = [&](const std::string& model, const std::string& input) {
    return Refused(Run({"learn-bench", "--replay", "--model", model, "--input", input}));
  };
  EXPECT_THAT(refusal(Model(), Last()), HasSubstr("model/trainer/state.json"));
  EXPECT_THAT(refusal(Model(), Last()), HasSubstr("RUN_DIR/checkpoints/step-N"));
  const std::string first = folder_ / "run/batch-1.jsonl";
  ASSERT_TRUE(learner::WriteTreeSamples(first, learner::TinyBatch(1)).ok());
  EXPECT_EQ(refusal(Checkpoint(), first),
            "--input: batch 1 was trained before run/checkpoints/step-2; batches from 2 on, or an "
            "earlier checkpoint");
  fs::remove_all(folder_ / "run/checkpoints/step-0");
  EXPECT_THAT(refusal(Checkpoint(), Last()),
              HasSubstr("run/checkpoints/step-0 isn't there, with which the run began"));
}

}  // namespace
}  // namespace attnrl::tools
