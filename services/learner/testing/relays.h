// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/storage/digest.h"
#include "common/testing/temporary_folder.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/client/held_versions.h"
#include "services/learner/client/version_sender.h"
#include "services/learner/client/weight_client.h"
#include "services/learner/rpc/weight_store_service.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {

// For tests only: a learner and workers that send versions to each other, over real sockets.

inline constexpr absl::Duration kRelayPatience = absl::Seconds(60);
inline constexpr int64_t kNumbers = 8 << 18;  // of a version: eight chunks

inline std::unique_ptr<rpc::Server> Start(grpc::Service* service) {
  auto server =
      rpc::Server::Start({.address = "127.0.0.1:0", .service_name = "learner"}, {service});
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

inline int PortOf(const rpc::Server& server) {
  return std::stoi(server.address().substr(server.address().rfind(':') + 1));
}

// Counts how often what is held is sent.
class CountingSource final : public VersionSource {
 public:
  explicit CountingSource(HeldVersions& held) : held_(held) {}
  absl::StatusOr<SentVersion> Send(const Version& version, absl::Duration patience) override {
    ++sent;
    return held_.Send(version, patience);
  }

  std::atomic<int> sent = 0;

 private:
  HeldVersions& held_;
};

// Counts the chunks that a service is asked for.
class AskedService final : public FetchService {
 public:
  explicit AskedService(FetchService& service) : service_(service) {}
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<grpc::ByteBuffer>* writer) override {
    chunks += request->chunks().size() / storage::kSha256Bytes;
    return service_.Fetch(context, request, writer);
  }

  std::atomic<size_t> chunks = 0;

 private:
  FetchService& service_;
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

class Relays : public ::testing::Test {
 protected:
  Relays()
      : store_(VersionStore::Open(folder_.path()).value()),
        service_(*store_),
        asked_(service_),
        server_(Start(&asked_)) {
    version_ = Publish(*store_, 1, {{"w", at::arange(kNumbers).to(at::kFloat)}}).value();
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
  // The worker at this port is named to who asks next.
  void Name(int port) {
    TakePlace(port);
    TakePlace(1);
  }
  void ExpectRight(Worker& worker, const VersionData* base = nullptr) {
    const auto data = worker.client().Fetch(version_, base, kRelayPatience);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(VersionDigest(**data), version_.digest);
  }
  std::shared_ptr<const VersionData> Data() { return *store_->Read(version_); }

  TemporaryFolder folder_;
  std::unique_ptr<VersionStore> store_;
  WeightStoreService service_;
  AskedService asked_;  // of the learner
  std::unique_ptr<rpc::Server> server_;
  Version version_;
  uint64_t bytes_ = 0;
};

}  // namespace attnrl::learner
