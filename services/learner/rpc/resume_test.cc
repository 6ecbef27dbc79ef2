// SPDX-License-Identifier: Apache-2.0
// Half-fetched versions in the shared folder of a machine, over real sockets.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "common/rpc/server.h"
#include "common/storage/digest.h"
#include "common/testing/temporary_folder.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"
#include "services/learner/client/piece_wire.h"
#include "services/learner/client/weight_client.h"

namespace attnrl::learner {
namespace {

constexpr absl::Duration kPlenty = absl::Seconds(60);

// Eight chunks of four bytes.
VersionData Eight(const std::string& bytes = "abcdefghijklmnopqrstuvwxyz012345") {
  VersionData data;
  data.tensors = {{.name = "a", .dtype = "F32", .shape = {8}, .offset = 0, .size = 32}};
  data.bytes = WeightBytes(bytes);
  data.chunk_bytes = 4;
  data.version.number = 4;
  Seal(&data);
  return data;
}

// A learner that sends a version, but no more than so many chunks: then it stands still.
class Learner final : public v1::WeightStore::Service {
 public:
  explicit Learner(VersionData data, int most = 1 << 20)
      : data_(std::move(data)),
        left_(most),
        server_(rpc::Server::Start({.address = "127.0.0.1:0", .service_name = "learner"}, {this})
                    .value()) {}
  ~Learner() override { server_->Shutdown(absl::ZeroDuration()); }

  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<v1::VersionPiece>* writer) override {
    v1::VersionPiece piece;
    if (request->chunks().empty()) {
      *piece.mutable_manifest() = ToProto(data_);
      writer->Write(piece);
      return grpc::Status::OK;
    }
    asked += static_cast<int>(request->chunks().size() / storage::kSha256Bytes);
    for (size_t at = 0; at < request->chunks().size(); at += storage::kSha256Bytes) {
      while (left_ == 0) {
        if (context->IsCancelled()) return grpc::Status::CANCELLED;
        absl::SleepFor(absl::Milliseconds(1));
      }
      --left_;
      const size_t chunk =
          data_.chunk_digests.find(request->chunks().substr(at, storage::kSha256Bytes)) /
          storage::kSha256Bytes;
      piece.mutable_chunk()->set_crc32c(storage::Crc32c(data_.Chunk(chunk)));
      piece.mutable_chunk()->set_data(std::string(data_.Chunk(chunk)));
      writer->Write(piece);
    }
    return grpc::Status::OK;
  }

  std::unique_ptr<WeightClient> Connect(const std::string& folder) const {
    return ConnectWeightStore(server_->address(), {.host_folder = folder}).value();
  }

  std::atomic<int> asked = 0;  // chunks, of all calls

 private:
  const VersionData data_;
  std::atomic<int> left_;
  std::unique_ptr<rpc::Server> server_;
};

void ExpectFetched(WeightClient& client, const VersionData& data) {
  const auto fetched = client.Fetch(data.version, nullptr, kPlenty);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ((*fetched)->bytes.view(), data.bytes.view());
}

class Resume : public ::testing::Test {
 protected:
  // As much of a version as a fetch leaves that is ended after so many chunks.
  void LeaveHalf(const VersionData& data, int chunks) {
    Learner learner(data, chunks);
    const auto client = learner.Connect(folder_.path());
    std::thread fetch([&] { EXPECT_FALSE(client->Fetch(data.version, nullptr, kPlenty).ok()); });
    while (client->received_bytes() < 4 * static_cast<uint64_t>(chunks)) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    client->Cancel();
    fetch.join();
  }
  std::string Leftover(const VersionData& data) const {
    return data.version.digest + ".version.part";
  }
  // How many chunks of a version one more process asks for.
  int Missing(const VersionData& data) {
    Learner learner(data);
    ExpectFetched(*learner.Connect(folder_.path()), data);
    return learner.asked;
  }

  TemporaryFolder folder_;
};

TEST_F(Resume, ChunksThatAreThereAreNotFetchedAgain) {
  LeaveHalf(Eight(), 5);
  EXPECT_EQ(Missing(Eight()), 3);
  EXPECT_EQ(Missing(Eight()), 0) << "it is whole now";
}

TEST_F(Resume, OfADamagedHalfWhatIsDamagedIsFetched) {
  LeaveHalf(Eight(), 5);
  std::string bytes = folder_.Read(Leftover(Eight()));
  ASSERT_EQ(bytes.substr(0, 20), Eight().bytes.view().substr(0, 20));
  bytes[6] ^= 1;
  folder_.Write(Leftover(Eight()), bytes);
  EXPECT_EQ(Missing(Eight()), 4);
}

TEST_F(Resume, OfATruncatedHalfTheRestIsFetched) {
  LeaveHalf(Eight(), 5);
  std::filesystem::resize_file(folder_ / Leftover(Eight()), 11);
  EXPECT_EQ(Missing(Eight()), 6);
}

TEST_F(Resume, TheHalfOfAnotherVersionIsNoHelpAndGoes) {
  const VersionData other = Eight("ABCDEFGHIJKLMNOPQRSTUVWXYZ543210");
  LeaveHalf(other, 5);
  EXPECT_EQ(Missing(Eight()), 8);
  EXPECT_FALSE(std::filesystem::exists(folder_ / Leftover(other)));
  std::filesystem::rename(folder_ / (Eight().version.digest + ".version"),
                          folder_ / Leftover(other));
  EXPECT_EQ(Missing(other), 8) << "whatever its name";
}

TEST_F(Resume, OfTwoProcessesAtTheSameTimeOneFetchesTheRest) {
  LeaveHalf(Eight(), 5);
  Learner learner(Eight());
  std::vector<std::thread> processes;
  for (int i = 0; i < 2; ++i) {
    processes.emplace_back([&] { ExpectFetched(*learner.Connect(folder_.path()), Eight()); });
  }
  for (std::thread& process : processes) process.join();
  EXPECT_EQ(learner.asked, 3);
}

// Fetches into `folder` until so many chunks have come, then ends as kill -9 does.
void DieAfter(const std::string& folder, int chunks) {
  Learner learner(Eight(), chunks);
  const auto client = learner.Connect(folder);
  std::thread fetch([&] { (void)client->Fetch(Eight().version, nullptr, kPlenty); });
  while (client->received_bytes() < 4 * static_cast<uint64_t>(chunks)) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  ::kill(::getpid(), SIGKILL);
}

// The process that dies runs this test again, up to its death, and must find the same folder.
TEST(ResumeDeathTest, WhatAKilledProcessHasFetchedTheNextOneHas) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr char kFolder[] = "ATTNRL_TEST_RESUME_FOLDER";
  std::optional<TemporaryFolder> folder;
  if (::getenv(kFolder) == nullptr) {
    folder.emplace();
    ::setenv(kFolder, folder->path().c_str(), 1);
  }
  const std::string path = ::getenv(kFolder);
  EXPECT_EXIT(DieAfter(path, 6), ::testing::KilledBySignal(SIGKILL), "");
  ::unsetenv(kFolder);
  Learner learner(Eight());
  ExpectFetched(*learner.Connect(path), Eight());
  EXPECT_EQ(learner.asked, 2);
}

}  // namespace
}  // namespace attnrl::learner
