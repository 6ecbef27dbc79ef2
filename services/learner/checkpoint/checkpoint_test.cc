// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/checkpoint.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() : store_(CheckpointStore::Open(run_.path()).value()) {
    WriteTinyModel(model_.path());
  }

  static std::string Digest(Trainer& trainer) {
    return ToVersionData(0, trainer.parameters().Published()).version.digest;
  }
  absl::Status Write(uint32_t step, Trainer& trainer) {
    return Write(step, trainer, RecentAccuracy());
  }
  absl::Status Write(uint32_t step, Trainer& trainer, const RecentAccuracy& accuracy) {
    const absl::Status begun = Begin(step, trainer, model_.path(), accuracy);
    return begun.ok() ? store_->TakeComplete(trainer, /*wait=*/true).status() : begun;
  }
  absl::Status Begin(uint32_t step, Trainer& trainer, const std::string& source,
                     const RecentAccuracy& accuracy = {}) {
    auto version =
        std::make_shared<const VersionData>(ToVersionData(step, trainer.parameters().leaves()));
    const std::string file = run_ / "version.safetensors";
    EXPECT_TRUE(WriteVersionFile(file, *version).ok());
    return store_->Begin({.step = step, .digest = version->version.digest, .accuracy = accuracy},
                         source, {version, file}, trainer);
  }
  static void FlipLastByte(const fs::path& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-2, std::ios::end);
    const char byte = static_cast<char>(file.peek() ^ 4);
    file.seekp(-2, std::ios::end);
    file.put(byte);
  }

  // Takes a file of a checkpoint out of its manifest.
  static void Unlist(const fs::path& file) {
    fs::path folder = file.parent_path();
    if (folder.filename() == "trainer") folder = folder.parent_path();
    nlohmann::json manifest =
        nlohmann::json::parse(std::ifstream(folder / "trainer/manifest.json"));
    EXPECT_EQ(manifest["files"].erase(fs::relative(file, folder).string()), 1u) << file;
    std::ofstream(folder / "trainer/manifest.json") << manifest.dump();
  }

  // Trains four batches at once, and two, a checkpoint as `step`, and two more: the same bits.
  void ExpectSameBitsThroughACheckpoint(const TrainerOptions& options, model::DType dtype,
                                        uint32_t step) {
    auto whole = TinyTrainer(model_.path(), options, dtype);
    for (uint32_t b = 0; b < 4; ++b) ASSERT_TRUE(whole->Train(TinyBatch(b), nullptr).ok());

    auto first = TinyTrainer(model_.path(), options, dtype);
    for (uint32_t b = 0; b < 2; ++b) ASSERT_TRUE(first->Train(TinyBatch(b), nullptr).ok());
    ASSERT_TRUE(Write(step, *first).ok());
    auto second = TinyTrainer(model_.path(), options, dtype);
    const auto info = store_->FindIntact();
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->step, step);
    EXPECT_EQ(info->digest, Digest(*first));
    ASSERT_NE(info->digest, Digest(*second)) << "nothing was trained";
    ASSERT_TRUE(store_->Restore(*info, *second).ok());
    EXPECT_EQ(Digest(*second), info->digest);
    for (uint32_t b = 2; b < 4; ++b) ASSERT_TRUE(second->Train(TinyBatch(b), nullptr).ok());

    EXPECT_EQ(Digest(*second), Digest(*whole));
    EXPECT_TRUE(second->parameters().values().equal(whole->parameters().values()));
    EXPECT_TRUE(second->parameters().second_moment().equal(whole->parameters().second_moment()));
    EXPECT_EQ(second->counters(), whole->counters());
  }

  TemporaryFolder model_, run_;
  std::unique_ptr<CheckpointStore> store_;
};

TEST_F(CheckpointTest, TrainingGoesOnWithTheSameBits) {
  ExpectSameBitsThroughACheckpoint(TinyOptions(), model::DType::kFloat32, 2);
  ExpectSameBitsThroughACheckpoint(TinyOptions(), model::DType::kBFloat16, 20);
}

TEST_F(CheckpointTest, TrainingOfAdaptersGoesOnWithTheSameBits) {
  TrainerOptions options = TinyOptions();
  options.lora = {.rank = 2, .alpha = 8, .seed = 1};
  ExpectSameBitsThroughACheckpoint(options, model::DType::kFloat32, 2);
  ExpectSameBitsThroughACheckpoint(options, model::DType::kBFloat16, 20);
}

TEST_F(CheckpointTest, IsAModelFolderOfThePublishedBits) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions(), model::DType::kBFloat16);
  ASSERT_TRUE(Write(0, *trainer).ok());
  const auto config = model::LoadModelConfig(store_->Folder(0));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->dtype, model::DType::kBFloat16);
  const auto tensors =
      model::LoadTensors(store_->Folder(0), *config, model::DType::kBFloat16, at::kCPU);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  EXPECT_EQ(model::Digest(*tensors), Digest(*trainer));
  EXPECT_EQ(ReadVersionFile(store_->ModelFile(0))->version.digest, Digest(*trainer));
}

TEST_F(CheckpointTest, TheOneBeforeIsUsedWhateverHappensToAnyFile) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(Write(1, *trainer).ok());
  ASSERT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
  ASSERT_TRUE(Write(2, *trainer).ok());
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(store_->Folder(2))) {
    if (entry.is_regular_file()) {
      files.push_back(fs::relative(entry.path(), store_->Folder(2)).string());
    }
  }
  EXPECT_GE(files.size(), 7u);
  const std::map<std::string, std::function<void(const fs::path&)>> kinds = {
      {"cut", [](const fs::path& file) { fs::resize_file(file, fs::file_size(file) / 2); }},
      {"emptied", [](const fs::path& file) { fs::resize_file(file, 0); }},
      {"missing", [](const fs::path& file) { fs::remove(file); }},
      {"a flipped bit", FlipLastByte},
      {"not in the manifest", [](const fs::path& file) { Unlist(file); }},
  };
  for (const std::string& file : files) {
    for (const auto& [kind, damage] : kinds) {
      const bool may_be_unlisted = file == "generation_config.json" || file == "tokenizer.json" ||
                                   file == "tokenizer_config.json" ||
                                   file == "trainer/manifest.json";
      if (kind == "not in the manifest" && may_be_unlisted) continue;
      TemporaryFolder copy(TemporaryFolder::On::kMemory);
      fs::copy(run_.path(), copy.path(), fs::copy_options::recursive);
      damage(copy.path() + "/checkpoints/step-2/" + file);
      const auto store = CheckpointStore::Open(copy.path()).value();
      const auto info = store->FindIntact();
      ASSERT_TRUE(info.ok()) << file << " " << kind << ": " << info.status();
      EXPECT_EQ(info->step, 1u) << file << " " << kind;
      EXPECT_EQ(store->steps(), (std::vector<uint32_t>{1}));
      EXPECT_TRUE(fs::exists(copy.path() + "/checkpoints/damaged-step-2"));
    }
  }
}

TEST_F(CheckpointTest, NoneIntactIsSaidAtEachStartAndNoneAtAllIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(store_->FindIntact().status()));
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(Write(0, *trainer).ok());
  fs::remove(store_->Folder(0) + "/trainer/masters.safetensors");
  const absl::Status none = store_->FindIntact().status();
  EXPECT_TRUE(absl::IsInvalidArgument(none));
  EXPECT_NE(none.message().find("put a good copy of one there"), absl::string_view::npos) << none;
  EXPECT_EQ(store_->FindIntact().status(), none);
  EXPECT_EQ(CheckpointStore::Open(run_.path()).value()->FindIntact().status(), none);
}

TEST_F(CheckpointTest, AHalfWrittenOneIsTakenAwayAtTheStart) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(Write(0, *trainer).ok());
  fs::create_directories(run_.path() + "/checkpoints/.tmp-step-1/trainer");
  const auto store = CheckpointStore::Open(run_.path()).value();
  EXPECT_EQ(store->steps(), (std::vector<uint32_t>{0}));
  EXPECT_FALSE(fs::exists(run_.path() + "/checkpoints/.tmp-step-1"));
}

TEST_F(CheckpointTest, KeepsStepZeroAndTheNewest) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  for (uint32_t step : {0u, 2u, 4u, 6u}) ASSERT_TRUE(Write(step, *trainer).ok());
  EXPECT_EQ(store_->Removable(2, 0, 100), (std::vector<uint32_t>{2}));
  EXPECT_EQ(store_->Removable(1, 0, 100), (std::vector<uint32_t>{2}));
  EXPECT_EQ(store_->Removable(0, 0, 100), (std::vector<uint32_t>{2}));
  EXPECT_TRUE(store_->Removable(1, 0, 2).empty());
  EXPECT_TRUE(store_->Removable(10, 0, 100).empty());
  ASSERT_TRUE(store_->Remove(2).ok());
  EXPECT_FALSE(fs::exists(store_->Folder(2)));
  EXPECT_EQ(store_->steps(), (std::vector<uint32_t>{0, 4, 6}));
}

TEST_F(CheckpointTest, KeepsTheMostAccurateBesidesTheNewest) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  EXPECT_EQ(store_->Best(), std::nullopt);
  // Without an accuracy, and with 0.5, 0.75, 0.75, 0.25, 0.5.
  ASSERT_TRUE(Write(0, *trainer).ok());
  const double right[] = {2, 3, 3, 1, 2};
  for (uint32_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(Write(2 * i + 2, *trainer, {.right = right[i], .responses = 4}).ok());
  }
  // What a restart reads is the same.
  for (const bool restarted : {false, true}) {
    if (restarted) store_ = CheckpointStore::Open(run_.path()).value();
    EXPECT_EQ(store_->Best(), (scheduler::BestCheckpoint{6, 0.75})) << "of equal ones the newer";
    EXPECT_EQ(store_->Removable(2, 0, 100), (std::vector<uint32_t>{2, 4, 6}));
    EXPECT_EQ(store_->Removable(2, 1, 100), (std::vector<uint32_t>{2, 4}));
    EXPECT_EQ(store_->Removable(2, 2, 100), (std::vector<uint32_t>{2}));
    EXPECT_EQ(store_->Removable(2, 3, 100), (std::vector<uint32_t>{2})) << "the third is 10";
    EXPECT_TRUE(store_->Removable(2, 100, 100).empty());
    EXPECT_EQ(store_->FindIntact()->step, 10u) << "a run goes on from the newest";
  }
  ASSERT_TRUE(store_->Remove(6).ok());
  EXPECT_EQ(store_->Best(), (scheduler::BestCheckpoint{4, 0.75}));
  std::ofstream(store_->Folder(4) + "/trainer/state.json") << "short";
  EXPECT_EQ(CheckpointStore::Open(run_.path()).value()->Best(),
            (scheduler::BestCheckpoint{10, 0.5}));
}

TEST_F(CheckpointTest, AFailedWriteLeavesNothingBehind) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(Begin(3, *trainer, "/nowhere/model").ok());
  EXPECT_TRUE(absl::IsNotFound(store_->TakeComplete(*trainer, /*wait=*/true).status()));
  EXPECT_TRUE(fs::is_empty(run_.path() + "/checkpoints"));
  EXPECT_TRUE(store_->steps().empty());
}

TEST_F(CheckpointTest, IsWrittenWhileTrainingGoesOn) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
  const at::Tensor before = trainer->parameters().values().clone();
  ASSERT_TRUE(Begin(1, *trainer, model_.path()).ok());
  ASSERT_TRUE(trainer->Train(TinyBatch(1), nullptr).ok());
  const auto complete = store_->TakeComplete(*trainer, /*wait=*/true);
  ASSERT_TRUE(complete.ok()) << complete.status();
  EXPECT_EQ((*complete)->step, 1u);
  EXPECT_EQ((*complete)->counters.updates * 2, trainer->counters().updates);
  EXPECT_EQ(*store_->TakeComplete(*trainer, /*wait=*/true), std::nullopt) << "only once";
  auto other = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(store_->Restore(store_->FindIntact().value(), *other).ok());
  EXPECT_TRUE(other->parameters().values().equal(before));
  EXPECT_FALSE(trainer->parameters().values().equal(before));
}

// Counts LibTorch's memory of the CPU while it lives.
class CountingAllocator final : public c10::Allocator {
 public:
  CountingAllocator() { c10::SetCPUAllocator(this, 1); }
  ~CountingAllocator() override { c10::SetCPUAllocator(under_, 1); }
  c10::DataPtr allocate(size_t bytes) override {
    in_use_ += bytes;
    most_ = std::max(most_, in_use_);
    struct Block {
      c10::DataPtr memory;
      CountingAllocator* of;
      size_t bytes;
    };
    auto* const block = new Block{under_->allocate(bytes), this, bytes};
    return {block->memory.get(), block,
            [](void* at) {
              const std::unique_ptr<Block> freed(static_cast<Block*>(at));
              freed->of->in_use_ -= freed->bytes;
            },
            at::kCPU};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    under_->copy_data(to, from, bytes);
  }
  size_t most() const { return most_; }

 private:
  c10::Allocator* const under_ = c10::GetCPUAllocator();
  size_t in_use_ = 0;
  size_t most_ = 0;
};

TEST_F(CheckpointTest, IsReadLayerByLayer) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(Write(1, *trainer).ok());
  const CheckpointInfo info = store_->FindIntact().value();
  const FlatLayout& layout = trainer->parameters().layout();
  int64_t largest = 0;
  for (const auto& bucket : layout.buckets()) largest = std::max(largest, bucket.count);
  ASSERT_LT(2 * largest, layout.parameters());
  const CountingAllocator memory;
  ASSERT_TRUE(store_->Restore(info, *trainer).ok());
  EXPECT_GT(memory.most(), 0u);
  EXPECT_LE(memory.most(), 2 * 4 * static_cast<size_t>(largest));
}

// What a kill at that moment leaves: the files as they are before each operation.
TEST_F(CheckpointTest, AKillAtAnyMomentLeavesTheOneBeforeOrTheNewOne) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(Write(1, *trainer).ok());
  ASSERT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
  std::vector<std::unique_ptr<TemporaryFolder>> moments;
  {
    absl::Mutex mutex;
    const storage::ScopedFault killed([&](std::string_view, const std::string&) {
      absl::MutexLock lock(&mutex);
      moments.push_back(std::make_unique<TemporaryFolder>(TemporaryFolder::On::kMemory));
      fs::copy(run_.path(), moments.back()->path(), fs::copy_options::recursive);
      return 0;
    });
    ASSERT_TRUE(Write(2, *trainer).ok());
  }
  EXPECT_GT(moments.size(), 20u);
  std::set<uint32_t> found;
  for (const auto& moment : moments) {
    const auto store = CheckpointStore::Open(moment->path()).value();
    const auto info = store->FindIntact();
    ASSERT_TRUE(info.ok()) << info.status();
    auto other = TinyTrainer(model_.path(), TinyOptions());
    EXPECT_TRUE(store->Restore(*info, *other).ok());
    EXPECT_EQ(fs::exists(moment->path() + "/checkpoints/step-2"), info->step == 2);
    found.insert(info->step);
  }
  EXPECT_EQ(found, (std::set<uint32_t>{1, 2}));
}

TEST_F(CheckpointTest, AFullDiskIsSaidByNameAndLeavesTheOneBefore) {
  auto trainer = TinyTrainer(model_.path(), TinyOptions());
  ASSERT_TRUE(Write(1, *trainer).ok());
  {
    const storage::ScopedFault full([](std::string_view operation, const std::string& path) {
      const bool moments = path.find("moment.safetensors") != std::string::npos;
      return operation == "write" && moments ? ENOSPC : 0;
    });
    const absl::Status written = Write(2, *trainer);
    EXPECT_TRUE(absl::IsResourceExhausted(written)) << written;
    EXPECT_NE(written.message().find("first_moment.safetensors"), absl::string_view::npos);
  }
  EXPECT_FALSE(fs::exists(run_ / "checkpoints/.tmp-step-2"));
  EXPECT_EQ(CheckpointStore::Open(run_.path()).value()->FindIntact()->step, 1u);
}

TEST(RecentAccuracy, OfLaterDataIsAboveThatOfEarlier) {
  const RecentAccuracy high{3, 4}, low{1, 4}, later{1, 4, 10};
  EXPECT_TRUE(high.Above(low));
  EXPECT_FALSE(low.Above(high));
  EXPECT_FALSE(high.Above(high));
  EXPECT_TRUE(later.Above(high));
  EXPECT_FALSE(high.Above(later));
}

TEST(RecentAccuracy, CountsLaterBatchesMore) {
  RecentAccuracy accuracy;
  EXPECT_TRUE(std::isnan(accuracy.value()));
  accuracy.Add(0, 0);  // nothing could be graded
  EXPECT_TRUE(std::isnan(accuracy.value()));
  accuracy.Add(4, 4);
  EXPECT_EQ(accuracy.value(), 1);
  accuracy.Add(0, 4);
  EXPECT_DOUBLE_EQ(accuracy.value(), 0.9 / 1.9);
  accuracy.Add(0, 0);
  EXPECT_DOUBLE_EQ(accuracy.value(), 0.9 / 1.9);
}

}  // namespace
}  // namespace attnrl::learner
