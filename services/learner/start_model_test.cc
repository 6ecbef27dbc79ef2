// SPDX-License-Identifier: Apache-2.0
#include "services/learner/start_model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/options.h"
#include "services/learner/testing/memory_ranks.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

using ::testing::HasSubstr;

// A run with checkpoints of steps 0 and 1 whose model.path holds W(0).
class StartModelTest : public ::testing::Test {
 protected:
  StartModelTest() {
    WriteTinyModel(source_.path());
    auto trainer = TinyTrainer(source_.path(), TinyOptions());
    store_ = CheckpointStore::Open(run_.path()).value();
    start_digest_ = Write(0, *trainer);
    EXPECT_TRUE(
        model::WriteModelFolder(model_path(), source_.path(), trainer->parameters().Published())
            .ok());
    EXPECT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
    Write(1, *trainer);
    trained_ = trainer->parameters().Published();
    config_.model.path = model_path();
    config_.learner.kl_weight = 0.1;
  }

  std::string model_path() const { return model_.path() + "/start"; }
  std::string Write(uint32_t step, Trainer& trainer) {
    const auto bits =
        std::make_shared<const VersionData>(ToVersionData(step, trainer.parameters().leaves()));
    const std::string file = run_ / "version.safetensors";
    EXPECT_TRUE(WriteVersionFile(file, *bits).ok());
    EXPECT_TRUE(store_
                    ->Begin({.step = step, .digest = bits->version.digest}, source_.path(),
                            {bits, file}, trainer)
                    .ok());
    EXPECT_TRUE(store_->TakeComplete(trainer, /*wait=*/true).ok());
    return bits->version.digest;
  }
  void Damage(const std::string& file) const {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(-2, std::ios::end);
    const char byte = static_cast<char>(bytes.peek() ^ 4);
    bytes.seekp(-2, std::ios::end);
    bytes.put(byte);
  }
  // Another model of the same shape where the run's start was.
  void ReplaceModelPath() const {
    std::filesystem::remove_all(model_path());
    EXPECT_TRUE(model::WriteModelFolder(model_path(), source_.path(), trained_).ok());
  }
  absl::StatusOr<StartModel> Start(
      const std::optional<std::string>& published = std::nullopt) const {
    return LoadStartModel(config_, *store_, published);
  }

  TemporaryFolder source_, model_, run_;
  std::unique_ptr<CheckpointStore> store_;
  std::string start_digest_;
  model::Tensors trained_;
  config::Config config_;
};

TEST_F(StartModelTest, IsTheFirstCheckpointAsLongAsThatIsIntact) {
  ReplaceModelPath();
  const auto start = Start();
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(start->folder, store_->Folder(0));
  EXPECT_EQ(model::Digest(start->tensors), start_digest_);
}

TEST_F(StartModelTest, ComesFromModelPathWhereTheCheckpointIsDamagedAndTheBitsAreTheSame) {
  Damage(store_->ModelFile(0));
  auto start = Start();
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(start->folder, model_path());
  EXPECT_EQ(model::Digest(start->tensors), start_digest_);

  Damage(store_->Folder(0) + "/trainer/state.json");  // its digest is gone too
  std::ofstream(store_->Folder(0) + "/trainer/state.json") << "{";
  EXPECT_TRUE(IsInputError(Start().status()));
  start = Start(start_digest_);
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(model::Digest(start->tensors), start_digest_);
}

TEST_F(StartModelTest, ComesFromModelPathWhereTheCheckpointCannotBeReadAndNoReasonIsFinal) {
  Damage(store_->ModelFile(0));
  const std::string state = store_->Folder(0) + "/trainer/state.json";
  std::filesystem::remove(state);
  std::filesystem::create_directory(state);
  const auto start = Start(start_digest_);
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(start->folder, model_path());

  ReplaceModelPath();
  const absl::Status unreadable = Start(start_digest_).status();
  EXPECT_FALSE(unreadable.ok());
  EXPECT_FALSE(IsInputError(unreadable)) << "a disk may be read again";
}

TEST_F(StartModelTest, WithAKlTermOtherWeightsNeverServeAndTheErrorSaysWhatIsDamaged) {
  Damage(store_->ModelFile(0));
  ReplaceModelPath();
  const auto start = Start();
  EXPECT_TRUE(IsInputError(start.status()));
  EXPECT_THAT(std::string(start.status().message()), HasSubstr("step-0/model.safetensors"));
  EXPECT_THAT(std::string(start.status().message()), HasSubstr(model_path()));
}

TEST_F(StartModelTest, WithAdaptersOtherWeightsNeverServeAndTheErrorSaysWhatNeedsThem) {
  config_.learner.kl_weight = 0;
  config_.learner.lora.rank = 4;
  Damage(store_->ModelFile(0));
  EXPECT_TRUE(Start().ok()) << "the same weights";
  ReplaceModelPath();
  const auto start = Start();
  EXPECT_TRUE(IsInputError(start.status()));
  EXPECT_THAT(std::string(start.status().message()), HasSubstr("its adapters are trained on them"));
}

TEST_F(StartModelTest, OfARunWhoseFirstCheckpointIsGoneMustHaveTheBitsThatWereAnnounced) {
  ASSERT_TRUE(store_->Remove(0).ok());
  EXPECT_TRUE(Start(start_digest_).ok()) << Start(start_digest_).status();
  EXPECT_TRUE(IsInputError(Start().status())) << "nobody knows which weights these are";
  ReplaceModelPath();
  EXPECT_TRUE(IsInputError(Start(start_digest_).status()));
  config_.learner.kl_weight = 0;
  EXPECT_TRUE(Start(start_digest_).ok()) << "the weights are those of the later checkpoint";
  config_.learner.lora.rank = 4;
  EXPECT_TRUE(IsInputError(Start(start_digest_).status()));
}

TEST_F(StartModelTest, WithoutAKlTermALaterCheckpointIsEnough) {
  config_.learner.kl_weight = 0;
  Damage(store_->ModelFile(0));
  ReplaceModelPath();
  EXPECT_TRUE(Start().ok()) << Start().status();
  ASSERT_TRUE(store_->Remove(1).ok());
  EXPECT_TRUE(IsInputError(Start().status()));
}

// A float32 folder whose run computes in bfloat16.
class PreciseStartTest : public ::testing::Test {
 protected:
  PreciseStartTest() {
    WriteTinyModel(source_.path());
    stored_ = model::RandomTensors(TinyConfig(source_.path()), 1, model::DType::kFloat32);
    config_.model.path = model_.path() + "/start";
    config_.model.dtype = "bfloat16";
    config_.learner.learning_rate = 1e-2;
    EXPECT_TRUE(model::WriteModelFolder(config_.model.path, source_.path(), stored_).ok());
    store_ = CheckpointStore::Open(run_.path()).value();
  }

  absl::StatusOr<StartModel> Start() const {
    return LoadStartModel(config_, *store_, std::nullopt);
  }
  std::unique_ptr<Trainer> Make(StartModel start, RankGroup* group = nullptr) const {
    auto trainer = std::make_unique<Trainer>(start.shape, std::move(start.tensors), start.dtype,
                                             TrainerOptionsOf(config_), group);
    if (group == nullptr || group->rank() == 0) {
      const absl::Status refined = RefineMasters(start, *trainer);
      EXPECT_TRUE(refined.ok()) << refined;
    }
    return trainer;
  }
  model::Tensors Rounded() const {
    model::Tensors rounded = stored_;
    for (auto& [name, tensor] : rounded) tensor = tensor.to(at::kBFloat16);
    return rounded;
  }
  static VersionData Bits(Trainer& trainer) {
    return ToVersionData(0, trainer.parameters().Published());
  }

  TemporaryFolder source_, model_, run_;
  model::Tensors stored_;
  std::unique_ptr<CheckpointStore> store_;
  config::Config config_;
};

TEST_F(PreciseStartTest, MastersHaveTheFoldersBitsAndTheVersionIsThemRounded) {
  auto start = Start();
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(start->dtype, model::DType::kBFloat16);
  EXPECT_EQ(model::Digest(start->tensors), model::Digest(Rounded())) << "no more is in memory";
  const auto trainer = Make(*std::move(start));
  const model::Tensors masters = trainer->parameters().Named(trainer->parameters().values());
  EXPECT_EQ(model::Digest(masters), model::Digest(stored_));
  EXPECT_EQ(Bits(*trainer).version.digest, model::Digest(Rounded()));
}

TEST_F(PreciseStartTest, TheReferenceIsWhatTheRunComputesWith) {
  config_.learner.kl_weight = 0.1;
  const auto statistics = Make(Start().value())->Train(TinyBatch(0, 1), nullptr);
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  ASSERT_EQ(statistics->optimizer_steps, 1u) << "the masters decide nothing yet";
  Trainer other(TinyConfig(source_.path()), Rounded(), model::DType::kBFloat16,
                TrainerOptionsOf(config_));
  EXPECT_EQ(statistics->kl, other.Train(TinyBatch(0, 1), nullptr)->kl);
}

TEST_F(PreciseStartTest, AdaptersChangeWhatTheRunComputesWith) {
  config_.learner.lora.rank = 2;
  auto trainer = Make(Start().value());
  const auto statistics = trainer->Train(TinyBatch(0), nullptr);
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  // A checkpoint has the rounded weights alone, from which a run that resumes must go on alike.
  Trainer other(TinyConfig(source_.path()), Rounded(), model::DType::kBFloat16,
                TrainerOptionsOf(config_));
  ASSERT_TRUE(other.Train(TinyBatch(0), nullptr).ok());
  EXPECT_EQ(Bits(*trainer).version, Bits(other).version);
}

TEST_F(PreciseStartTest, MastersOfOtherRanksHaveTheFoldersBitsToo) {
  RunRanks(2, [&](RankGroup& group) {
    auto start = group.rank() == 0 ? Start() : absl::StatusOr<StartModel>(StartModel());
    ASSERT_TRUE(start.ok()) << start.status();
    start = ShareStartModel(config_, group, *std::move(start));
    ASSERT_TRUE(start.ok()) << start.status();
    EXPECT_EQ(model::Digest(start->tensors), model::Digest(Rounded()));
    const auto trainer = Make(*std::move(start), &group);
    EXPECT_TRUE((group.rank() == 0 ? trainer->Release(true) : trainer->Follow(nullptr)).ok());
    Parameters& parameters = trainer->parameters();
    EXPECT_EQ(model::Digest(parameters.leaves()), model::Digest(Rounded()));
    const model::Tensors masters = parameters.Named(parameters.values());
    if (group.rank() == 0) {
      EXPECT_EQ(model::Digest(masters), model::Digest(stored_));
    }
  });
}

TEST_F(PreciseStartTest, ARankThatWouldTrainOtherwiseEndsAndNamesTheFirstKey) {
  config_.stages = {{.from_step = 5, .settings = {{"learner.learning_rate", "0.001"}}}};
  const std::map<std::string, std::function<void(config::Config&)>> kOthers = {
      {"learner.learning_rate: is 0.5 on rank 1 and 0.01 on rank 0",
       [](config::Config& other) { other.learner.learning_rate = 0.5; }},
      {"learner.max_tokens_per_pass: is 7 on rank 1 and 16384 on rank 0",
       [](config::Config& other) {
         other.learner.max_tokens_per_pass = 7;
         other.learner.weight_decay = 0.5;  // a later key
       }},
      {"rollout.temperature: is 0.5 on rank 1 and 1 on rank 0",
       [](config::Config& other) { other.rollout.temperature = 0.5; }},
      {"learner.learning_rate from step 5: is not set on rank 1 and 0.001 on rank 0",
       [](config::Config& other) { other.stages.clear(); }},
      {"algorithm.sampling.initial_responses from step 9: is 4 on rank 1 and not set on rank 0",
       [](config::Config& other) {
         other.stages.push_back(
             {.from_step = 9, .settings = {{"algorithm.sampling.initial_responses", "4"}}});
       }}};
  for (const auto& [text, change] : kOthers) {
    RunRanks(2, [&](RankGroup& group) {
      config::Config config = config_;
      if (group.rank() == 1) change(config);
      auto start = group.rank() == 0 ? Start() : absl::StatusOr<StartModel>(StartModel());
      start = ShareStartModel(config, group, *std::move(start));
      EXPECT_EQ(start.ok(), group.rank() == 0) << start.status();
      if (group.rank() == 0) return;
      EXPECT_TRUE(IsInputError(start.status()));
      EXPECT_EQ(std::string(start.status().message()), text + "; the same on every rank");
    });
  }
}

TEST_F(PreciseStartTest, RanksMayDifferInWhatIsOfTheirHostsAndOfRankZeroAlone) {
  RunRanks(2, [&](RankGroup& group) {
    config::Config config = config_;
    if (group.rank() == 1) {
      config.model.path = config.model.path + "/../start";
      config.data.train = "/other/train.jsonl";
      config.run.steps += 1;
      config.rollout.threads = 3;
      config.learner.address = "unix:/other";
      config.learner.threads += 1;
      config.learner.checkpoint_layers = config::CheckpointLayers::kAll;
      config.learner.checkpoints_kept += 1;
      config.learner.rank_timeout_seconds += 1;
      config.observe.log_level = "debug";
      config.stages = {{.from_step = 5, .settings = {{"data.train", "/other/later.jsonl"}}}};
    }
    auto start = group.rank() == 0 ? Start() : absl::StatusOr<StartModel>(StartModel());
    start = ShareStartModel(config, group, *std::move(start));
    EXPECT_TRUE(start.ok()) << start.status();
  });
}

TEST_F(PreciseStartTest, ARunThatResumesGoesOnWithTheSameBits) {
  config_.learner.kl_weight = 0.1;
  const auto whole = Make(Start().value());
  const auto bits = std::make_shared<const VersionData>(Bits(*whole));
  const std::string file = run_ / "version.safetensors";
  ASSERT_TRUE(WriteVersionFile(file, *bits).ok());
  ASSERT_TRUE(
      store_->Begin({.digest = bits->version.digest}, source_.path(), {bits, file}, *whole).ok());
  ASSERT_TRUE(store_->TakeComplete(*whole, /*wait=*/true).ok());
  std::filesystem::remove_all(config_.model.path);

  const auto resumed = Make(Start().value());
  ASSERT_TRUE(store_->Restore(store_->FindIntact().value(), *resumed).ok());
  for (Trainer* trainer : {whole.get(), resumed.get()}) {
    ASSERT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
  }
  EXPECT_TRUE(resumed->parameters().values().equal(whole->parameters().values()));
  EXPECT_EQ(Bits(*resumed).version, Bits(*whole).version);
}

}  // namespace
}  // namespace attnrl::learner
