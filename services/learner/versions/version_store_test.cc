// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_store.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

model::Tensors Weights(float value) {
  return {{"a", at::full({2, 3}, value)}, {"b", at::full({4}, value).to(at::kBFloat16)}};
}

class VersionStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<VersionStore> Open() {
    auto store = VersionStore::Open(run_.path());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  static std::vector<uint32_t> Numbers(const VersionStore& store) {
    std::vector<uint32_t> numbers;
    for (uint32_t number = 0; number < 10; ++number) {
      if (store.Holds(number)) numbers.push_back(number);
    }
    return numbers;
  }

  TemporaryFolder run_;
};

TEST_F(VersionStoreTest, WhatWasPublishedIsThereAfterAnotherOpen) {
  Version version;
  {
    auto store = Open();
    EXPECT_FALSE(store->Newest().has_value());
    ASSERT_TRUE(Publish(*store, 0, Weights(1)).ok());
    version = Publish(*store, 1, Weights(2)).value();
  }
  auto store = Open();
  EXPECT_EQ(store->Newest(), version);
  EXPECT_EQ(Numbers(*store), (std::vector<uint32_t>{0, 1}));
  const auto data = store->Read({1, ""});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ((*data)->version, version);
  EXPECT_TRUE(ToTensors(**data).at("b").equal(Weights(2).at("b")));
}

TEST_F(VersionStoreTest, ANumberIsNeverPublishedWithOtherBits) {
  {
    auto store = Open();
    ASSERT_TRUE(Publish(*store, 0, Weights(1)).ok());
    EXPECT_TRUE(Publish(*store, 0, Weights(1)).ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(Publish(*store, 0, Weights(2)).status()));
    ASSERT_TRUE(Publish(*store, 5, Weights(1)).ok());
    ASSERT_TRUE(store->Prune(5).ok());
  }
  // Pruned bits don't free the number, and the same bits may come back.
  auto store = Open();
  EXPECT_EQ(Numbers(*store), (std::vector<uint32_t>{5}));
  EXPECT_TRUE(absl::IsNotFound(store->Read({0, ""}).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Publish(*store, 0, Weights(2)).status()));
  EXPECT_TRUE(Publish(*store, 0, Weights(1)).ok());
  EXPECT_TRUE(store->Read({0, ""}).ok());
}

TEST_F(VersionStoreTest, DamagedBitsAreRemovedButTheirNumberStaysTaken) {
  {
    auto store = Open();
    for (const uint32_t number : {3u, 4u, 5u})
      ASSERT_TRUE(Publish(*store, number, Weights(1)).ok());
  }
  // Another value in a sound file, and a file that isn't sound.
  std::string bytes = run_.Read("weights/3/model.safetensors");
  bytes[bytes.size() - 3] = 'z';
  run_.Write("weights/3/model.safetensors", bytes);
  run_.Write("weights/4/model.safetensors", run_.Read("weights/4/model.safetensors") + "x");
  auto store = Open();
  EXPECT_EQ(Numbers(*store), (std::vector<uint32_t>{5}));
  for (const uint32_t number : {3u, 4u}) {
    EXPECT_FALSE(fs::exists(run_ / "weights/" + std::to_string(number)));
    EXPECT_TRUE(absl::IsFailedPrecondition(Publish(*store, number, Weights(2)).status()));
  }
  EXPECT_EQ(store->Newest()->number, 5u);
}

TEST_F(VersionStoreTest, AVersionThatWasDurableButNotYetNotedIsAdopted) {
  Publish(*Open(), 0, Weights(1)).value();
  fs::remove(run_.path() + "/weights/published.json");
  fs::create_directories(run_.path() + "/weights/.tmp-1");
  auto store = Open();
  EXPECT_EQ(store->Newest()->number, 0u);
  EXPECT_TRUE(fs::exists(run_.path() + "/weights/published.json"));
  EXPECT_FALSE(fs::exists(run_.path() + "/weights/.tmp-1"));
}

TEST_F(VersionStoreTest, ADamagedJournalIsMadeAnewOfWhatIsThere) {
  const Version version = Publish(*Open(), 3, Weights(1)).value();
  const std::string whole = run_.Read("weights/published.json");
  std::string flipped = whole;
  flipped[whole.find(version.digest)] ^= 1;
  for (const std::string& damaged : {whole.substr(0, 40), std::string(), flipped}) {
    run_.Write("weights/published.json", damaged);
    auto store = Open();
    EXPECT_EQ(store->Newest(), version);
    EXPECT_TRUE(store->Read(version).ok());
    EXPECT_EQ(run_.Read("weights/published.json"), whole);
    EXPECT_EQ(run_.Read("weights/damaged-published.json"), damaged);
  }
}

TEST_F(VersionStoreTest, ACheckpointTakesAVersionOver) {
  auto store = Open();
  const Version version = Publish(*store, 2, Weights(1)).value();
  const std::string file = run_.path() + "/step-2.safetensors";
  ASSERT_TRUE(model::WriteSafetensors(file, Weights(1), {}).ok());
  ASSERT_TRUE(store->Adopt(version, file).ok());
  EXPECT_FALSE(fs::exists(run_.path() + "/weights/2"));
  ASSERT_TRUE(store->Prune(100).ok());
  EXPECT_TRUE(store->Read(version).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Adopt({2, "another"}, file)));
  store->Forget(2);
  EXPECT_TRUE(absl::IsNotFound(store->Read(version).status()));
}

TEST_F(VersionStoreTest, AReaderOfAFileThatACheckpointTakesOverMeanwhileReadsThatOfTheCheckpoint) {
  auto store = Open();
  const Version version = Publish(*store, 2, Weights(1)).value();
  for (const uint32_t later : {3u, 4u}) Publish(*store, later, Weights(1)).value();
  const std::string file = run_ / "step-2.safetensors";
  const std::string published = run_ / "weights/2/model.safetensors";
  fs::rename(published, file);
  // In its place a pipe, which the reader waits to open until somebody writes.
  const std::string pipe = run_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  fs::create_hard_link(pipe, published);
  absl::StatusOr<std::shared_ptr<const VersionData>> read = absl::UnknownError("not read");
  std::thread reader([&] { read = store->Read(version); });
  absl::SleepFor(absl::Milliseconds(200));  // time to get there; without it nothing is tested
  ASSERT_TRUE(store->Adopt(version, file).ok());
  const int writer = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  reader.join();
  close(writer);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->version, version);
}

TEST_F(VersionStoreTest, AVersionIsInMemoryOnceHoweverManyReadIt) {
  Publish(*Open(), 1, Weights(1)).value();
  auto store = Open();  // nothing in memory yet
  std::vector<std::shared_ptr<const VersionData>> copies(4);
  std::vector<std::thread> readers;
  for (auto& copy : copies) readers.emplace_back([&] { copy = store->Read({1, ""}).value(); });
  for (std::thread& reader : readers) reader.join();
  for (const auto& copy : copies) EXPECT_EQ(copy, copies[0]);
}

TEST_F(VersionStoreTest, MakesRoomByAllButTheNewest) {
  auto store = Open();
  Publish(*store, 1, Weights(1)).value();
  Publish(*store, 2, Weights(2)).value();
  const std::weak_ptr<const VersionData> newest = *store->Read({2, ""});
  const std::weak_ptr<const VersionData> older = *store->Read({1, ""});
  store->MakeRoom();
  EXPECT_TRUE(older.expired());
  EXPECT_EQ(store->Read({2, ""}).value(), newest.lock());
  EXPECT_TRUE(store->Read({1, ""}).ok()) << "from its file";
}

TEST_F(VersionStoreTest, WeightsThatCannotBeReadNowAreNotRemoved) {
  Publish(*Open(), 3, Weights(1)).value();
  const fs::path file = run_.path() + "/weights/3/model.safetensors";
  fs::remove(file);
  fs::create_directory(file);  // as unreadable as a disk with an error, also for root
  EXPECT_FALSE(VersionStore::Open(run_.path()).ok());
  EXPECT_TRUE(fs::exists(file));
}

}  // namespace
}  // namespace attnrl::learner
