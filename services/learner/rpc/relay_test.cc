// SPDX-License-Identifier: Apache-2.0
// Workers that send versions to each other, over real sockets.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/client/held_versions.h"
#include "services/learner/client/version_sender.h"
#include "services/learner/testing/relays.h"
#include "services/learner/versions/difference.h"
#include "services/learner/versions/growing_version.h"

namespace attnrl::learner {
namespace {

// Sends a version whose second chunk has other bytes than its name says, with a sound checksum.
class LyingSource final : public VersionSource {
 public:
  explicit LyingSource(VersionData data) : data_(std::make_shared<VersionData>(std::move(data))) {
    data_->bytes = WeightBytes(data_->bytes.view());
    data_->bytes.room()[kChunkBytes + 7] ^= 1;
  }
  absl::StatusOr<SentVersion> Send(const Version&, absl::Duration) override {
    return SentVersion{.data = data_};
  }

 private:
  const std::shared_ptr<VersionData> data_;
};

// Has a version whose chunks aren't there yet when they are first asked for.
class LateSource final : public VersionSource {
 public:
  explicit LateSource(std::shared_ptr<const VersionData> data) : data_(std::move(data)) {}
  absl::StatusOr<SentVersion> Send(const Version&, absl::Duration) override {
    ++sent;
    if (sent > 1) return SentVersion{.data = data_};
    return SentVersion{.data = data_,
                       .wait = [](size_t, absl::Duration) { return absl::AbortedError("late"); }};
  }

  std::atomic<int> sent = 0;

 private:
  const std::shared_ptr<const VersionData> data_;
};

class Relaying : public Relays {
 protected:
  // W(0): the version but for one number.
  std::shared_ptr<const VersionData> Base() {
    at::Tensor before = at::arange(kNumbers).to(at::kFloat);
    before[7] += 1;
    return *store_->Read(*Publish(*store_, 0, {{"w", before}}));
  }
  // The bits of `data`, of which nothing is there yet.
  static std::shared_ptr<GrowingVersion> Begin(const VersionData& data) {
    VersionData manifest = data;
    manifest.bytes = WeightBytes::Room(data.bytes.size()).value();
    return GrowingVersion::Begin(std::move(manifest));
  }
  static void Fill(GrowingVersion& growing, const VersionData& data, size_t chunk) {
    data.Chunk(chunk).copy(growing.Room(chunk).data(), growing.Room(chunk).size());
    growing.SetReady(chunk);
  }
  // One chunk of the version from a relay, as a difference to `base` where it makes one.
  absl::StatusOr<v1::VersionChunk> Ask(const rpc::Server& relay, size_t chunk,
                                       const VersionData& base) {
    const auto stub = v1::WeightStore::NewStub(*rpc::Connect(relay.address()));
    const auto context = rpc::MakeContext(absl::Seconds(20));
    v1::FetchVersionRequest request;
    request.mutable_version()->set_number(version_.number);
    request.mutable_version()->set_digest(version_.digest);
    request.mutable_base()->set_number(base.version.number);
    request.mutable_base()->set_digest(base.version.digest);
    request.set_chunks(std::string(Data()->ChunkDigest(chunk)));
    const auto reader = stub->Fetch(context.get(), request);
    v1::VersionPiece piece;
    while (reader->Read(&piece)) {
    }
    ATTNRL_RETURN_IF_ERROR(rpc::FromGrpc(reader->Finish(), "fetch"));
    return piece.chunk();
  }
};

TEST_F(Relaying, ToEightWorkersTheLearnerSendsAVersionTwice) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 8; ++i) workers.push_back(std::make_unique<Worker>(server_->address()));
  std::vector<std::thread> threads;
  for (auto& worker : workers) threads.emplace_back([&] { ExpectRight(*worker); });
  for (std::thread& thread : threads) thread.join();
  for (auto& worker : workers) EXPECT_EQ(worker->client().received_bytes(), bytes_);
  EXPECT_LE(asked_.chunks, 2 * Data()->chunks());
}

TEST_F(Relaying, ADeadOneCostsAnotherTry) {
  std::optional<Worker> first(server_->address());
  std::optional<Worker> second(server_->address());
  TakePlace(first->port());
  TakePlace(second->port());
  first.reset();
  second.reset();
  Worker third(server_->address());
  ExpectRight(third);
}

TEST_F(Relaying, ALyingOneCostsAnotherTryAndNeverAWrongByte) {
  LyingSource source(**store_->Read(version_));
  RelayService lying(source);
  const auto liar = Start(&lying);
  TakePlace(PortOf(*liar));
  Worker first(server_->address());
  ExpectRight(first);
  EXPECT_EQ(first.client().received_bytes(), bytes_ + kChunkBytes)
      << "of what the liar sent only the wrong chunk was fetched again";
  Worker second(server_->address());
  ExpectRight(second);
  EXPECT_EQ(second.client().received_bytes(), bytes_) << "to whom the liar isn't named";
  liar->Shutdown(absl::ZeroDuration());
}

TEST_F(Relaying, WhatIsStillArrivingIsSentOn) {
  HeldVersions held;
  RelayService relay(held);
  const auto server = Start(&relay);
  const auto data = *store_->Read(version_);
  const auto growing = Begin(*data);
  held.Add(GrowingVersion::Reader(growing));
  Fill(*growing, *data, 0);
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

TEST_F(Relaying, OneThatHasBothVersionsSendsWhatDiffers) {
  const auto base = Base();
  HeldVersions held;
  held.Add({.data = base});
  held.Add({.data = Data()});
  RelayService relay(held);
  const auto server = Start(&relay);
  Name(PortOf(*server));
  Worker worker(server_->address());
  ExpectRight(worker, base.get());
  EXPECT_LT(worker.client().received_bytes() * 20, bytes_);
  server->Shutdown(absl::ZeroDuration());
}

TEST_F(Relaying, ForABaseThatItDoesNotHoldOneWaitsForNobody) {
  HeldVersions held;
  held.Add({.data = Data()});
  RelayService relay(held, /*bytes_per_second=*/0, /*patience=*/absl::Hours(1));
  const auto server = Start(&relay);
  const auto base = Base();
  const auto never_asked = Ask(*server, 0, *base);
  ASSERT_TRUE(never_asked.ok()) << never_asked.status();
  EXPECT_EQ(never_asked->data(), Data()->Chunk(0));
  held.Add(GrowingVersion::Reader(Begin(*base)));
  const auto arriving = Ask(*server, 0, *base);
  ASSERT_TRUE(arriving.ok()) << arriving.status();
  EXPECT_EQ(arriving->data(), Data()->Chunk(0));
  server->Shutdown(absl::ZeroDuration());
}

TEST_F(Relaying, AfterAFetchThatBeganAnewDifferencesAreThoseOfTheNewBytes) {
  const auto base = Base();
  HeldVersions held;
  RelayService relay(held);
  const auto server = Start(&relay);
  held.Add({.data = base});
  const auto first = Begin(*Data());
  held.Add(GrowingVersion::Reader(first));
  Fill(*first, *Data(), 0);
  ASSERT_TRUE(Ask(*server, 0, *base).ok());
  first->End();
  const auto second = Begin(*Data());
  held.Add(GrowingVersion::Reader(second));
  Fill(*second, *Data(), 1);
  const auto chunk = Ask(*server, 1, *base);
  ASSERT_TRUE(chunk.ok()) << chunk.status();
  std::string bytes(kChunkBytes, '\0');
  ASSERT_TRUE(ApplyDifference(base->Chunk(1), chunk->difference(), bytes).ok());
  EXPECT_EQ(bytes, Data()->Chunk(1));
  server->Shutdown(absl::ZeroDuration());
}

TEST_F(Relaying, KeepNeitherVersionForTheirDifferences) {
  HeldVersions held;
  RelayService relay(held);
  const auto server = Start(&relay);
  auto base = std::make_shared<const VersionData>(*Base());
  held.Add({.data = base});
  held.Add({.data = Data()});
  ASSERT_FALSE(Ask(*server, 0, *base)->difference().empty());
  const std::weak_ptr<const VersionData> gone = base;
  base.reset();
  EXPECT_FALSE(gone.expired());
  held.Add({.data = std::make_shared<const VersionData>()});
  server->Shutdown(absl::ZeroDuration());
  EXPECT_TRUE(gone.expired());
}

TEST_F(Relaying, OneWhoseDifferencesAreDamagedIsAskedForTheBytesBeforeAnother) {
  const auto base = Base();
  auto damaged = std::make_shared<VersionData>(*base);
  damaged->bytes = WeightBytes(base->bytes.view());
  damaged->bytes.room()[8] ^= 1;
  HeldVersions held;
  held.Add({.data = std::move(damaged)});
  held.Add({.data = Data()});
  CountingSource source(held);
  RelayService relay(source);
  const auto server = Start(&relay);
  Name(PortOf(*server));
  Worker worker(server_->address());
  ExpectRight(worker, base.get());
  EXPECT_EQ(source.sent, 3) << "the version and the base, then the version alone";
  EXPECT_GT(worker.client().received_bytes(), kChunkBytes);
  server->Shutdown(absl::ZeroDuration());
}

TEST_F(Relaying, OneThatDoesNotHaveTheChunksYetIsAskedAgain) {
  LateSource source(Data());
  RelayService relay(source);
  const auto server = Start(&relay);
  Name(PortOf(*server));
  Worker worker(server_->address());
  ExpectRight(worker);
  EXPECT_EQ(source.sent, 2);
  server->Shutdown(absl::ZeroDuration());
}

}  // namespace
}  // namespace attnrl::learner
