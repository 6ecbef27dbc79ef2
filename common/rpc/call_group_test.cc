// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/call_group.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/rpc/testing/test_services.h"

namespace attnrl::rpc {
namespace {

// Far less than a wait that Cancel has to end, far more than a call takes.
constexpr absl::Duration kDeadline = absl::Seconds(20);
constexpr absl::Duration kEndless = absl::InfiniteDuration();
constexpr char kRetries[] =
    "attnrl_rpc_client_retries_total{method=\"Verify\",target=\"Verifier\"}";

class CallGroupTest : public ::testing::Test {
 protected:
  CallGroupTest()
      : service_([this](const v1::VerifyRequest&, v1::VerifyReply*) {
          ++answered_;
          return absl::OkStatus();
        }),
        stalling_([this](const v1::VerifyRequest&, v1::VerifyReply*) {
          called_.Notify();
          over_.WaitForNotification();
          return absl::OkStatus();
        }) {}

  void Serve(TestVerifier* service) {
    const std::string address = folder_.Address("s.sock");
    auto server = Server::Start({.address = address}, {service});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::Verifier::NewStub(Connect(address).value());
  }

  absl::Status Verify(const Call& call) {
    v1::VerifyReply reply;
    return FromGrpc(stub_->Verify(call.context(), {}, &reply), "Verify");
  }

  SocketFolder folder_;
  std::atomic<int> answered_ = 0;
  absl::Notification called_, over_;
  TestVerifier service_, stalling_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::Verifier::Stub> stub_;
  CallGroup calls_;
};

TEST_F(CallGroupTest, CancelEndsACallUnderWay) {
  Serve(&stalling_);
  std::thread canceller([this] {
    called_.WaitForNotification();
    calls_.Cancel();
  });
  const absl::Status status = Verify(Call(calls_, kDeadline));
  over_.Notify();
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_F(CallGroupTest, NoCallIsMadeAfterCancel) {
  Serve(&service_);
  EXPECT_FALSE(calls_.cancelled());
  calls_.Cancel();
  EXPECT_TRUE(calls_.cancelled());
  EXPECT_TRUE(absl::IsCancelled(Verify(Call(calls_, kDeadline))));
  EXPECT_EQ(answered_, 0);
}

TEST_F(CallGroupTest, OneCallMayBeCancelledWithoutTheOthers) {
  Serve(&service_);
  const Call one(calls_, kDeadline);
  const Call other(calls_, kDeadline);
  one.Cancel();
  EXPECT_TRUE(absl::IsCancelled(Verify(one)));
  EXPECT_TRUE(Verify(other).ok());
  EXPECT_TRUE(Verify(Call(calls_, kDeadline)).ok());
}

TEST_F(CallGroupTest, CountsARetryOnceItHasWaitedForIt) {
  const double before = Series(kRetries);
  EXPECT_TRUE(calls_.WaitToRetry("Verifier/Verify", absl::Milliseconds(1)));
  EXPECT_EQ(Series(kRetries), before + 1);
}

TEST_F(CallGroupTest, CancelEndsAWaitForARetryThatIsNotMadeThen) {
  const double before = Series(kRetries);
  std::thread canceller([this] { calls_.Cancel(); });
  EXPECT_FALSE(calls_.WaitToRetry("Verifier/Verify", kEndless));
  canceller.join();
  EXPECT_FALSE(calls_.WaitToRetry("Verifier/Verify", kEndless));
  EXPECT_EQ(Series(kRetries), before);
}

// Streams one message whose text isn't UTF-8, which no receiver parses, or none; then stays or
// ends.
class Streamer final : public v1::WeightStore::Service {
 public:
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                     grpc::ServerWriter<v1::VersionPiece>* writer) override {
    if (request->manifest_only()) return {grpc::StatusCode::NOT_FOUND, "no such version"};
    v1::VersionPiece piece;
    piece.mutable_elsewhere()->add_addresses("\xff");
    writer->Write(piece);
    while (!context->IsCancelled()) absl::SleepFor(absl::Milliseconds(5));
    return grpc::Status::OK;
  }
};

class StreamEndTest : public ::testing::Test {
 protected:
  absl::Status Fetch(bool ends, absl::Duration wait) {
    const std::string address = folder_.Address("s.sock");
    const auto server = Server::Start({.address = address}, {&service_}).value();
    const auto stub = v1::WeightStore::NewStub(Connect(address).value());
    const Call call(calls_, kEndless);
    v1::FetchVersionRequest request;
    request.set_manifest_only(ends);
    const auto stream = stub->Fetch(call.context(), request);
    v1::VersionPiece piece;
    while (stream->Read(&piece)) ADD_FAILURE() << "it was parsed";
    return FromGrpc(call.Finish([&] { return stream->Finish(); }, wait), "fetch");
  }

  SocketFolder folder_;
  Streamer service_;
  CallGroup calls_;
};

TEST_F(StreamEndTest, AMessageThatCannotBeParsedEndsAStreamThatLives) {
  const absl::Status status = Fetch(/*ends=*/false, absl::Milliseconds(200));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(status.message(), "fetch: the other side sent a message that can't be read");
}

TEST_F(StreamEndTest, AStreamThatEndedSaysWhy) {
  const absl::Status status = Fetch(/*ends=*/true, kDeadline);
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

}  // namespace
}  // namespace attnrl::rpc
