// SPDX-License-Identifier: Apache-2.0
// Workers that send versions to each other, over real sockets.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/testing/temporary_folder.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/client/held_versions.h"
#include "services/learner/client/version_sender.h"
#include "services/learner/client/weight_client.h"
#include "services/learner/rpc/weight_store_service.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

std::unique_ptr<rpc::Server> Start(grpc::Service* service) {
  auto server =
      rpc::Server::Start({.address = "127.0.0.1:0", .service_name = "learner"}, {service});
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

int PortOf(const rpc::Server& server) {
  return std::stoi(server.address().substr(server.address().rfind(':') + 1));
}

// Counts how often what is held is sent.
class CountingSource final : public VersionSource {
 public:
  explicit CountingSource(HeldVersions& held) : held_(held) {}
  absl::StatusOr<SentVersion> Send(const Version& version) override {
    ++sent;
    return held_.Send(version);
  }

  std::atomic<int> sent = 0;

 private:
  HeldVersions& held_;
};

// What a worker has of all this.
class Worker {
 public:
  explicit Worker(const std::string& learner)
      : source_(held_),
        relay_(source_),
        server_(Start(&relay_)),
        client_(Connect(learner, PortOf(*server_))) {}
  ~Worker() { server_->Shutdown(absl::ZeroDuration()); }

  WeightClient& client() { return *client_; }
  int port() const { return PortOf(*server_); }
  int sent() const { return source_.sent; }

 private:
  std::unique_ptr<WeightClient> Connect(const std::string& learner, int port) {
    WeightClientOptions options;
    options.held = &held_;
    options.serves_at = port;
    return ConnectWeightStore(learner, options).value();
  }

  HeldVersions held_;
  CountingSource source_;
  RelayService relay_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<WeightClient> client_;
};

// Sends a version whose second chunk has other bytes than its name says, with a sound checksum.
class LyingSource final : public VersionSource {
 public:
  explicit LyingSource(VersionData data) : data_(std::make_shared<VersionData>(std::move(data))) {
    data_->bytes = WeightBytes(data_->bytes.view());
    data_->bytes.room()[kChunkBytes + 7] ^= 1;
  }
  absl::StatusOr<SentVersion> Send(const Version&) override { return SentVersion{.data = data_}; }

 private:
  const std::shared_ptr<VersionData> data_;
};

class Relays : public ::testing::Test {
 protected:
  Relays()
      : store_(VersionStore::Open(folder_.path()).value()),
        service_(*store_),
        server_(Start(&service_)) {
    version_ = Publish(*store_, 1, {{"w", at::arange(3 << 18).to(at::kFloat)}}).value();
    bytes_ = (*store_->Read(version_))->bytes.size();
  }
  ~Relays() override { server_->Shutdown(absl::Seconds(1)); }

  // A worker that fetches nothing has asked the learner, and is now named to others.
  void TakePlace(int port) {
    const auto stub = v1::WeightStore::NewStub(*rpc::Connect(server_->address()));
    grpc::ClientContext context;
    v1::FetchVersionRequest request;
    request.mutable_version()->set_number(version_.number);
    request.mutable_version()->set_digest(version_.digest);
    request.set_serves_at(static_cast<uint32_t>(port));
    const auto reader = stub->Fetch(&context, request);
    v1::VersionPiece piece;
    EXPECT_TRUE(reader->Read(&piece));
    context.TryCancel();
    (void)reader->Finish();
  }
  void ExpectRight(Worker& worker) {
    const auto data = worker.client().Fetch(version_, nullptr, kPatience);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(VersionDigest(**data), version_.digest);
  }

  TemporaryFolder folder_;
  std::unique_ptr<VersionStore> store_;
  WeightStoreService service_;
  std::unique_ptr<rpc::Server> server_;
  Version version_;
  uint64_t bytes_ = 0;
};

TEST_F(Relays, ToEightWorkersTheLearnerSendsAVersionTwice) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 8; ++i) workers.push_back(std::make_unique<Worker>(server_->address()));
  std::vector<std::thread> threads;
  for (auto& worker : workers) threads.emplace_back([&] { ExpectRight(*worker); });
  for (std::thread& thread : threads) thread.join();
  int sent = 0;
  for (auto& worker : workers) {
    EXPECT_EQ(worker->client().received_bytes(), bytes_);
    sent += worker->sent();
  }
  EXPECT_EQ(sent, 6) << "of the eight copies";
}

TEST_F(Relays, ADeadOneCostsAnotherTry) {
  std::optional<Worker> first(server_->address());
  std::optional<Worker> second(server_->address());
  TakePlace(first->port());
  TakePlace(second->port());
  first.reset();
  second.reset();
  Worker third(server_->address());
  ExpectRight(third);
}

TEST_F(Relays, ALyingOneCostsAnotherTryAndNeverAWrongByte) {
  LyingSource source(**store_->Read(version_));
  RelayService lying(source);
  const auto liar = Start(&lying);
  TakePlace(PortOf(*liar));
  Worker first(server_->address());
  ExpectRight(first);
  Worker second(server_->address());
  ExpectRight(second);
  EXPECT_EQ(second.client().received_bytes(), bytes_ + kChunkBytes)
      << "of what the liar sent only the wrong chunk was fetched again";
  liar->Shutdown(absl::ZeroDuration());
}

TEST_F(Relays, WhatIsStillArrivingIsSentOn) {
  HeldVersions held;
  RelayService relay(held);
  const auto server = Start(&relay);
  const auto data = *store_->Read(version_);
  VersionData manifest = *data;
  manifest.bytes = {};
  const auto growing = GrowingVersion::Begin(std::move(manifest), bytes_);
  held.Add(growing);
  const std::span<char> room = growing->Room(0);
  data->bytes.view().copy(room.data(), room.size());
  growing->SetReady(0);
  const auto stub = v1::WeightStore::NewStub(*rpc::Connect(server->address()));
  grpc::ClientContext context;
  v1::FetchVersionRequest request;
  request.mutable_version()->set_number(version_.number);
  const auto reader = stub->Fetch(&context, request);
  v1::VersionPiece piece;
  ASSERT_TRUE(reader->Read(&piece));
  EXPECT_EQ(piece.manifest().total_bytes(), bytes_);
  ASSERT_TRUE(reader->Read(&piece));
  EXPECT_EQ(piece.chunk().data(), data->bytes.view().substr(0, kChunkBytes));
  growing->End();
  EXPECT_FALSE(reader->Read(&piece));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  server->Shutdown(absl::ZeroDuration());
}

}  // namespace
}  // namespace attnrl::learner
