// SPDX-License-Identifier: Apache-2.0
// How fast versions are sent, over a real socket.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/rpc/server.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/client/weight_client.h"
#include "services/learner/rpc/weight_store_service.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {
namespace {

// Counts the calls that a service has answered.
class CountingService final : public FetchService {
 public:
  explicit CountingService(FetchService& service) : service_(service) {}
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<grpc::ByteBuffer>* writer) override {
    const grpc::Status status = service_.Fetch(context, request, writer);
    ++ended;
    return status;
  }

  std::atomic<int> ended = 0;

 private:
  FetchService& service_;
};

// Four megabytes in four chunks.
class SendRate : public ::testing::Test {
 protected:
  SendRate()
      : store_(VersionStore::Open(folder_.path()).value()),
        version_(Publish(*store_, 0, {{"w", at::arange(1 << 20).to(at::kFloat)}}).value()) {}

  // A client of `service`, which it alone calls.
  std::unique_ptr<WeightClient> Connect(FetchService* service) {
    server_ =
        rpc::Server::Start(
            {.address = "unix:" + folder_.path() + "/w.sock", .service_name = "learner"}, {service})
            .value();
    return ConnectWeightStore(server_->address()).value();
  }

  TemporaryFolder folder_;
  std::unique_ptr<VersionStore> store_;
  Version version_;
  std::unique_ptr<rpc::Server> server_;
};

TEST_F(SendRate, BoundsWhatIsSentASecond) {
  WeightStoreService service(*store_, /*bytes_per_second=*/8 << 20);
  const auto client = Connect(&service);
  const absl::Duration start = Clock::Real().Monotonic();
  ASSERT_TRUE(client->Fetch(version_, nullptr, absl::Seconds(60)).ok());
  // The last chunk goes when the three before it are earned, but for a tenth of a second.
  EXPECT_GE(Clock::Real().Monotonic() - start, absl::Milliseconds(270));
  server_->Shutdown(absl::ZeroDuration());
}

TEST_F(SendRate, WhoLeavesIsNotWaitedFor) {
  WeightStoreService service(*store_, /*bytes_per_second=*/1);
  CountingService counting(service);
  const auto client = Connect(&counting);
  EXPECT_FALSE(client->Fetch(version_, nullptr, absl::Seconds(1)).ok());
  for (int i = 0; i < 1000 && counting.ended < 2; ++i) absl::SleepFor(absl::Milliseconds(20));
  EXPECT_GE(counting.ended, 2) << "the manifest, and the chunks that take weeks";
  server_->Shutdown(absl::ZeroDuration());
}

}  // namespace
}  // namespace attnrl::learner
