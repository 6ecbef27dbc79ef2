// SPDX-License-Identifier: Apache-2.0
// The weight store's service and client over a real socket.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "common/rpc/server.h"
#include "common/storage/digest.h"
#include "common/testing/temporary_folder.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/client/host_folder.h"
#include "services/learner/client/piece_wire.h"
#include "services/learner/client/weight_client.h"
#include "services/learner/rpc/weight_store_service.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(20);

// Three megabytes, so that a version takes several chunks.
model::Tensors Weights(float value) {
  return {{"a", at::full({256, 1024}, value)},
          {"b", at::full({1024, 1024}, value).to(at::kBFloat16)}};
}

std::unique_ptr<rpc::Server> ServeAt(const std::string& folder, grpc::Service* service) {
  auto server = rpc::Server::Start(
      {.address = "unix:" + folder + "/w.sock", .service_name = "learner"}, {service});
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

std::unique_ptr<WeightClient> Connect(const rpc::Server& server) {
  return ConnectWeightStore(server.address()).value();
}

absl::StatusOr<VersionData> Fetch(WeightClient& client, const Version& version,
                                  const VersionData* base, absl::Duration deadline) {
  const auto data = client.Fetch(version, base, deadline);
  if (!data.ok()) return data.status();
  return **data;
}

class WeightTransfer : public ::testing::Test {
 protected:
  WeightTransfer()
      : store_(VersionStore::Open(folder_.path()).value()),
        service_(*store_),
        server_(ServeAt(folder_.path(), &service_)),
        client_(Connect(*server_)) {}
  ~WeightTransfer() override { server_->Shutdown(absl::Seconds(1)); }

  TemporaryFolder folder_;
  std::unique_ptr<VersionStore> store_;
  WeightStoreService service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<WeightClient> client_;
};

TEST_F(WeightTransfer, GivesThePublishedBits) {
  const Version version = Publish(*store_, 0, Weights(1.5)).value();
  EXPECT_EQ(version.digest, model::Digest(Weights(1.5)));
  const auto data = Fetch(*client_, version, nullptr, kDeadline);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->version, version);
  ASSERT_EQ(data->tensors.size(), 2u);
  EXPECT_EQ(data->tensors[1].dtype, "BF16");
  EXPECT_EQ(data->tensors[1].shape, (std::vector<int64_t>{1024, 1024}));
  EXPECT_EQ(VersionDigest(*data), version.digest);
}

// The same weights after a step that moves a few of them.
model::Tensors Moved(float value) {
  model::Tensors moved = Weights(value);
  moved["b"].flatten().slice(0, 0, 1 << 20, 1000).add_(1);
  return moved;
}

TEST_F(WeightTransfer, SendsWhatDiffersFromAVersionThatTheCallerHolds) {
  const Version first = Publish(*store_, 0, Weights(1.5)).value();
  const Version second = Publish(*store_, 1, Moved(1.5)).value();
  const auto base = Fetch(*client_, first, nullptr, kDeadline);
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ(client_->received_bytes(), base->bytes.size());
  const auto other = Connect(*server_);  // another worker's
  for (WeightClient* client : {client_.get(), other.get()}) {
    const uint64_t before = client->received_bytes();
    const auto data = Fetch(*client, second, &*base, kDeadline);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(VersionDigest(*data), second.digest);
    EXPECT_LT((client->received_bytes() - before) * 20, data->bytes.size());
  }
}

TEST_F(WeightTransfer, SendsAllOfAVersionWhereADifferenceWouldNotHelp) {
  const Version first = Publish(*store_, 0, {{"a", at::rand({1 << 18})}}).value();
  const Version second = Publish(*store_, 1, {{"a", at::rand({1 << 18})}}).value();
  auto base = Fetch(*client_, first, nullptr, kDeadline);
  ASSERT_TRUE(base.ok()) << base.status();
  for (const bool known : {true, false}) {
    const auto data = Fetch(*client_, second, &*base, kDeadline);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(VersionDigest(*data), second.digest) << known;
    base->version.digest = "of a run that is gone";
  }
  base->bytes = WeightBytes(base->bytes.view().substr(0, 100));
  base->chunk_digests.resize(storage::kSha256Bytes);
  EXPECT_TRUE(Fetch(*client_, second, &*base, kDeadline).ok()) << "another model's";
}

TEST_F(WeightTransfer, AVersionThatDiffersFromAnotherThanTheOneNamedIsSentOnceMoreWhole) {
  const Version first = Publish(*store_, 0, Weights(1.5)).value();
  const Version second = Publish(*store_, 1, Moved(1.5)).value();
  auto base = Fetch(*client_, first, nullptr, kDeadline);
  ASSERT_TRUE(base.ok()) << base.status();
  base->bytes.room()[1'500'000] ^= 1;  // a bit has flipped here
  const auto data = Fetch(*client_, second, &*base, kDeadline);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(VersionDigest(*data), second.digest);
}

TEST_F(WeightTransfer, SendsWhatDiffersAlsoOfChunksThatAreAlike) {
  const model::Tensors same = {{"a", at::full({1 << 20}, 1.5)}};  // four chunks
  model::Tensors before = {{"a", at::full({1 << 20}, 1.5)}};
  for (const int at : {5, (1 << 18) + 7, (1 << 19) + 9}) before["a"][at] = 2;
  const Version first = Publish(*store_, 0, before).value();
  const Version second = Publish(*store_, 1, same).value();
  const auto base = Fetch(*client_, first, nullptr, kDeadline);
  ASSERT_TRUE(base.ok()) << base.status();
  const uint64_t received = client_->received_bytes();
  // The fourth chunk of the base is all of them, but for a client that can't take it from there.
  VersionData named = *base;
  named.chunk_digests.clear();
  const auto data = Fetch(*client_, second, &named, kDeadline);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(VersionDigest(*data), second.digest);
  EXPECT_LT((client_->received_bytes() - received) * 20, data->bytes.size());
}

TEST_F(WeightTransfer, NamesAVersionThatIsNotThere) {
  ASSERT_TRUE(Publish(*store_, 0, Weights(1)).ok());
  EXPECT_TRUE(absl::IsNotFound(Fetch(*client_, {1, ""}, nullptr, kDeadline).status()));
  EXPECT_TRUE(absl::IsNotFound(Fetch(*client_, {0, "another"}, nullptr, kDeadline).status()));
}

TEST_F(WeightTransfer, NeverSendsBitsThatWereDamagedOnDisk) {
  const Version first = Publish(*store_, 0, Weights(0)).value();
  for (uint32_t number : {1u, 2u}) ASSERT_TRUE(Publish(*store_, number, Weights(1)).ok());
  std::fstream file(folder_.path() + "/weights/0/model.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-5, std::ios::end);
  file.put('\x7f');
  file.close();
  EXPECT_TRUE(absl::IsDataLoss(Fetch(*client_, first, nullptr, kDeadline).status()));
}

TEST_F(WeightTransfer, CancelEndsAFetchThatWaits) {
  server_->Shutdown(absl::ZeroDuration());
  std::thread canceller([this] {
    absl::SleepFor(absl::Milliseconds(20));
    client_->Cancel();
  });
  EXPECT_TRUE(absl::IsCancelled(Fetch(*client_, {0, ""}, nullptr, kDeadline).status()));
  canceller.join();
}

TEST_F(WeightTransfer, OfTheProcessesOfAMachineOneFetchesAndAllHaveOneCopy) {
  const Version version = Publish(*store_, 0, Weights(1.5)).value();
  const WeightClientOptions options = {.host_folder = folder_ / "shared"};
  std::vector<std::unique_ptr<WeightClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(ConnectWeightStore(server_->address(), options).value());
  }
  std::vector<std::thread> threads;
  for (auto& client : clients) {
    threads.emplace_back([&] {
      const auto data = client->Fetch(version, nullptr, kDeadline);
      ASSERT_TRUE(data.ok()) << data.status();
      EXPECT_EQ(VersionDigest(**data), version.digest);
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t received = 0;
  for (auto& client : clients) received += client->received_bytes();
  EXPECT_EQ(received, (*store_->Read(version))->bytes.size());
}

TEST_F(WeightTransfer, WhoWaitsInVainForAnotherProcessFetchesItself) {
  const Version version = Publish(*store_, 0, Weights(1.5)).value();
  const auto lock = HostFolder(folder_ / "shared").TryLock(version);
  ASSERT_TRUE(lock.ok()) << lock.status();
  const auto client =
      ConnectWeightStore(server_->address(), {.host_folder = folder_ / "shared"}).value();
  EXPECT_TRUE(client->Fetch(version, nullptr, absl::Seconds(1)).ok());
}

TEST_F(WeightTransfer, WithoutAFolderThatCanBeUsedAVersionIsItsProcessesOwn) {
  const Version version = Publish(*store_, 0, Weights(1.5)).value();
  folder_.Write("file", "no folder");
  const auto client =
      ConnectWeightStore(server_->address(), {.host_folder = folder_ / "file"}).value();
  const auto data = client->Fetch(version, nullptr, kDeadline);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(VersionDigest(**data), version.digest);
}

TEST_F(WeightTransfer, WhatIsNoDigestIsNoNameOfAFile) {
  ASSERT_TRUE(Publish(*store_, 0, Weights(1.5)).ok());
  const auto client =
      ConnectWeightStore(server_->address(), {.host_folder = folder_ / "shared"}).value();
  EXPECT_TRUE(absl::IsNotFound(client->Fetch({0, "../elsewhere"}, nullptr, kDeadline).status()));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "shared"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere.version.lock"));
}

TEST_F(WeightTransfer, WithoutRoomInTheSharedFolderAVersionIsItsProcessesOwn) {
  const Version version = Publish(*store_, 0, Weights(1.5)).value();
  const auto client =
      ConnectWeightStore(server_->address(), {.host_folder = folder_ / "shared"}).value();
  const storage::ScopedFault full([](std::string_view operation, const std::string&) {
    return operation == "write" ? ENOSPC : 0;
  });
  const auto data = client->Fetch(version, nullptr, kDeadline);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(VersionDigest(**data), version.digest);
}

// Sends one version whose stream breaks, or is damaged, in the first attempts.
class FaultyService final : public v1::WeightStore::Service {
 public:
  enum class Fault { kBreaks, kDamages, kLies, kStalls, kAddsOne };
  FaultyService(VersionData data, Fault fault, int faulty_attempts)
      : data_(std::move(data)), fault_(fault), faulty_attempts_(faulty_attempts) {}

  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<v1::VersionPiece>* writer) override {
    v1::VersionPiece piece;
    const std::string& chunks = request->chunks();
    if (chunks.empty()) {
      *piece.mutable_manifest() = ToProto(data_);
      writer->Write(piece);
      return grpc::Status::OK;
    }
    asked.push_back(chunks.size() / storage::kSha256Bytes);
    const bool faulty = static_cast<int>(asked.size()) <= faulty_attempts_;
    for (size_t at = 0; at < chunks.size(); at += storage::kSha256Bytes) {
      const size_t chunk = data_.chunk_digests.find(chunks.substr(at, storage::kSha256Bytes)) /
                           storage::kSha256Bytes;
      std::string bytes(data_.bytes.view().substr(chunk * data_.chunk_bytes, data_.chunk_bytes));
      if (faulty && fault_ == Fault::kLies) bytes[0] = static_cast<char>(bytes[0] ^ 1);
      piece.mutable_chunk()->set_crc32c(storage::Crc32c(bytes));
      if (faulty && fault_ == Fault::kDamages) bytes[0] = static_cast<char>(bytes[0] ^ 1);
      piece.mutable_chunk()->set_data(bytes);
      writer->Write(piece);
      while (faulty && fault_ == Fault::kStalls && !context->IsCancelled()) {
        absl::SleepFor(absl::Milliseconds(1));
      }
      if (faulty && fault_ != Fault::kAddsOne) return {grpc::StatusCode::UNAVAILABLE, "broken"};
    }
    if (faulty) writer->Write(piece);
    return grpc::Status::OK;
  }

  std::vector<size_t> asked;  // chunks, of each call

 private:
  const VersionData data_;
  const Fault fault_;
  const int faulty_attempts_;
};

// Three chunks.
VersionData SmallVersion() {
  VersionData data;
  data.tensors = {{.name = "a", .dtype = "F32", .shape = {3}, .offset = 0, .size = 12}};
  data.bytes = WeightBytes("abcdefghijkl");
  data.chunk_bytes = 4;
  data.version.number = 4;
  Seal(&data);
  return data;
}

TEST(WeightTransferFaults, ABrokenStreamGoesOnWhereItBroke) {
  const TemporaryFolder folder;
  FaultyService service(SmallVersion(), FaultyService::Fault::kBreaks, 2);
  const auto server = ServeAt(folder.path(), &service);
  const auto data = Fetch(*Connect(*server), SmallVersion().version, nullptr, kDeadline);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->bytes.view(), "abcdefghijkl");
  EXPECT_EQ(service.asked, (std::vector<size_t>{3, 2, 1}));
  server->Shutdown(absl::ZeroDuration());
}

TEST(WeightTransferFaults, AVersionMayTakeLongerThanTheDeadlineWhileItComes) {
  const TemporaryFolder folder;
  FaultyService service(SmallVersion(), FaultyService::Fault::kStalls, 2);
  const auto server = ServeAt(folder.path(), &service);
  // Two of the three chunks take a whole deadline each.
  const auto data =
      Fetch(*Connect(*server), SmallVersion().version, nullptr, absl::Milliseconds(400));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->bytes.view(), "abcdefghijkl");
  EXPECT_EQ(service.asked, (std::vector<size_t>{3, 2, 1}));
  server->Shutdown(absl::ZeroDuration());
}

TEST(WeightTransferFaults, WhoWaitsForAnotherProcessDoesSoWhileThatGoesOn) {
  const TemporaryFolder folder;
  FaultyService service(SmallVersion(), FaultyService::Fault::kStalls, 2);
  const auto server = ServeAt(folder.path(), &service);
  std::vector<std::thread> processes;
  for (int i = 0; i < 2; ++i) {
    processes.emplace_back([&] {
      const auto client =
          ConnectWeightStore(server->address(), {.host_folder = folder / "shared"}).value();
      EXPECT_TRUE(client->Fetch(SmallVersion().version, nullptr, absl::Seconds(1)).ok());
    });
  }
  for (std::thread& process : processes) process.join();
  EXPECT_EQ(service.asked, (std::vector<size_t>{3, 2, 1})) << "by one of the two";
  server->Shutdown(absl::ZeroDuration());
}

TEST(WeightTransferFaults, AVersionOfManyChunksTakesSeveralCalls) {
  VersionData data;
  std::string bytes;
  for (uint32_t i = 0; i < 5000; ++i) {
    bytes.append(reinterpret_cast<const char*>(&i), sizeof(i));
  }
  data.tensors = {{.name = "a", .dtype = "F32", .shape = {5000}, .offset = 0, .size = 20000}};
  data.bytes = WeightBytes(bytes);
  data.chunk_bytes = 4;
  Seal(&data);
  const TemporaryFolder folder;
  FaultyService service(data, FaultyService::Fault::kBreaks, 0);
  const auto server = ServeAt(folder.path(), &service);
  const auto fetched = Fetch(*Connect(*server), data.version, nullptr, kDeadline);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(fetched->bytes.view(), bytes);
  EXPECT_EQ(service.asked, (std::vector<size_t>{4096, 904}));
  server->Shutdown(absl::ZeroDuration());
}

TEST(WeightTransferFaults, DamageIsAskedForAgainAndThenRefused) {
  using enum FaultyService::Fault;
  for (const auto fault : {kDamages, kLies}) {
    const TemporaryFolder folder;
    FaultyService once(SmallVersion(), fault, 1);
    auto server = ServeAt(folder.path(), &once);
    EXPECT_TRUE(Fetch(*Connect(*server), {4, ""}, nullptr, kDeadline).ok());
    server->Shutdown(absl::ZeroDuration());
    FaultyService always(SmallVersion(), fault, 100);
    server = ServeAt(folder.path(), &always);
    EXPECT_TRUE(absl::IsDataLoss(Fetch(*Connect(*server), {4, ""}, nullptr, kDeadline).status()));
    server->Shutdown(absl::ZeroDuration());
  }
}

TEST(WeightTransferFaults, AChunkThatNobodyAskedForIsNotTaken) {
  const TemporaryFolder folder;
  FaultyService service(SmallVersion(), FaultyService::Fault::kAddsOne, 1);
  const auto server = ServeAt(folder.path(), &service);
  const auto data = Fetch(*Connect(*server), SmallVersion().version, nullptr, kDeadline);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->bytes.view(), "abcdefghijkl");
  server->Shutdown(absl::ZeroDuration());
}

TEST(WeightTransferFaults, AnAbsentLearnerIsWaitedForUntilTheDeadline) {
  const TemporaryFolder folder;
  const auto client = ConnectWeightStore("unix:" + folder.path() + "/nobody.sock").value();
  const absl::Status status = Fetch(*client, {7, ""}, nullptr, absl::Milliseconds(300)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_NE(std::string(status.message()).find("W(7)"), std::string::npos);
}

}  // namespace
}  // namespace attnrl::learner
