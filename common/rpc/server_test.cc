// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/server.h"

#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "common/rpc/testing/health.h"
#include "common/rpc/testing/test_services.h"

namespace attnrl::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

absl::Status Echo(const v1::VerifyRequest& request, v1::VerifyReply* reply) {
  for (const v1::GradeRequest& each : request.responses()) {
    reply->add_results()->set_extracted(each.response());
  }
  return absl::OkStatus();
}

v1::VerifyRequest Request(const std::string& text) {
  v1::VerifyRequest request;
  request.add_responses()->set_response(text);
  return request;
}

class ServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Server> Start(const ServerOptions& options) {
    auto server = Server::Start(options, {&service_});
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }
  std::unique_ptr<Server> Start(const std::string& address) {
    return Start(ServerOptions{.address = address});
  }
  absl::Status StartError(const std::string& address) {
    return Server::Start({.address = address}, {&service_}).status();
  }

  SocketFolder folder_;
  TestVerifier service_{Echo};
};

TEST_F(ServerTest, AnswersOverAUnixSocketThatIsPrivate) {
  const auto server = Start(folder_.Address("s.sock"));
  ASSERT_NE(server, nullptr);
  EXPECT_EQ(server->address(), folder_.Address("s.sock"));
  struct stat info {};
  ASSERT_EQ(::stat((folder_ / "s.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  v1::VerifyReply reply;
  ASSERT_TRUE(CallVerify(*Connect(server->address()), Request("x"), &reply).ok());
  EXPECT_EQ(reply.results(0).extracted(), "x");
}

TEST_F(ServerTest, TheLastOneDoesNotTakeGrpcAway) {
  Start(folder_.Address("s.sock")).reset();
  EXPECT_EQ(grpc_is_initialized(), 1) << "a process that ends, or begins again, waits for that";
}

TEST_F(ServerTest, ReportsThePortThatItTook) {
  const auto server = Start("127.0.0.1:0");
  ASSERT_NE(server, nullptr);
  EXPECT_THAT(server->address(), StartsWith("127.0.0.1:"));
  v1::VerifyReply reply;
  EXPECT_TRUE(CallVerify(*Connect(server->address()), Request("x"), &reply).ok());
}

TEST_F(ServerTest, RefusesAPortInUseByName) {
  const auto server = Start("127.0.0.1:0");
  ASSERT_NE(server, nullptr);
  const absl::Status status = StartError(server->address());
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(Message(status), StartsWith("address " + server->address() + ": in use"));
}

TEST_F(ServerTest, LeavesTheConsoleToTheError) {
  const auto server = Start("127.0.0.1:0");
  ASSERT_NE(server, nullptr);
  ::testing::internal::CaptureStderr();
  EXPECT_FALSE(StartError(server->address()).ok());
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(ServerTest, RefusesALiveSocketAndLeavesItAlone) {
  const auto server = Start(folder_.Address("s.sock"));
  ASSERT_NE(server, nullptr);
  EXPECT_THAT(Message(StartError(folder_.Address("s.sock"))),
              StartsWith("address " + folder_.Address("s.sock") + ": in use by a process"));
  v1::VerifyReply reply;
  EXPECT_TRUE(CallVerify(*Connect(server->address()), Request("x"), &reply).ok());
}

TEST_F(ServerTest, RefusesAFileThatIsNoSocket) {
  std::ofstream(folder_ / "file") << "precious";
  EXPECT_THAT(Message(StartError(folder_.Address("file"))), HasSubstr("no socket"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "file"));
}

TEST_F(ServerTest, RefusesAddressesItCannotBind) {
  EXPECT_TRUE(IsInputError(StartError("")));
  EXPECT_TRUE(IsInputError(StartError("unix:/nowhere/at/all.sock")));
  EXPECT_TRUE(IsInputError(StartError("127.0.0.1:99999")));
}

TEST_F(ServerTest, ServesOtherMachinesOnlyWhenAllowed) {
  const absl::Status status = StartError("0.0.0.0:0");
  EXPECT_THAT(Message(status), HasSubstr("security.allow_plaintext: true"));
  ::testing::internal::CaptureStderr();
  EXPECT_NE(Start(ServerOptions{.address = "0.0.0.0:0", .security = {.allow_plaintext = true}}),
            nullptr);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("security.allow_plaintext"));
  EXPECT_FALSE(Connect("10.0.0.1:5000").ok());
  EXPECT_TRUE(Connect("10.0.0.1:5000", {.security = {.allow_plaintext = true}}).ok());
}

TEST_F(ServerTest, IsHealthyFromSetServingToShutdown) {
  const auto server =
      Start(ServerOptions{.address = folder_.Address("s.sock"), .service_name = "verifier"});
  ASSERT_NE(server, nullptr);
  const auto channel = *Connect(server->address());
  const absl::Duration deadline = absl::Seconds(20);
  EXPECT_EQ(Message(CheckHealth(channel, "verifier", deadline)), "verifier is not serving");
  EXPECT_FALSE(CheckHealth(channel, "", deadline).ok());
  server->SetServing(true);
  EXPECT_TRUE(CheckHealth(channel, "verifier", deadline).ok());
  EXPECT_TRUE(CheckHealth(channel, "", deadline).ok());
  EXPECT_FALSE(CheckHealth(channel, "unknown", deadline).ok());
  server->Shutdown(absl::Seconds(1));
  EXPECT_FALSE(CheckHealth(channel, "", absl::Milliseconds(200)).ok());
}

TEST_F(ServerTest, RefusesMessagesOverTheLimit) {
  const auto server =
      Start(ServerOptions{.address = folder_.Address("s.sock"), .max_request_bytes = 1 << 20});
  ASSERT_NE(server, nullptr);
  const auto channel = *Connect(server->address());
  v1::VerifyReply reply;
  EXPECT_TRUE(CallVerify(channel, Request(std::string(900'000, 'x')), &reply).ok());
  EXPECT_TRUE(
      absl::IsResourceExhausted(CallVerify(channel, Request(std::string(1'100'000, 'x')), &reply)));
  const auto small = *Connect(server->address(), {.max_request_bytes = 1000});
  EXPECT_FALSE(CallVerify(small, Request(std::string(2000, 'x')), &reply).ok());
}

TEST_F(ServerTest, LetsRunningCallsFinishWithinTheGrace) {
  absl::Notification running;
  absl::Notification finish;
  TestVerifier slow([&](const v1::VerifyRequest&, v1::VerifyReply*) {
    running.Notify();
    finish.WaitForNotification();
    return absl::OkStatus();
  });
  auto server = *Server::Start({.address = folder_.Address("s.sock")}, {&slow});
  absl::Status status = absl::UnknownError("not called");
  std::thread caller([&] {
    v1::VerifyReply reply;
    status = CallVerify(*Connect(server->address()), Request("x"), &reply);
  });
  running.WaitForNotification();
  std::thread ender([&] { server->Shutdown(absl::Seconds(60)); });
  finish.Notify();
  ender.join();
  caller.join();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ServerTest, MakesRoomForTheNextOnTheSameSocket) {
  const std::string address = folder_.Address("s.sock");
  auto server = Start(address);
  const auto channel = *Connect(address);
  v1::VerifyReply reply;
  ASSERT_TRUE(CallVerify(channel, Request("x"), &reply).ok());
  server.reset();
  server = Start(address);
  ASSERT_NE(server, nullptr);
  ASSERT_TRUE(WaitReady(*channel, absl::Seconds(20), "test server").ok());
  // One call may still meet the connection that has just ended.
  absl::Status status = CallVerify(channel, Request("x"), &reply);
  if (absl::IsUnavailable(status)) status = CallVerify(channel, Request("x"), &reply);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ServerTest, WaitsForItsEnd) {
  const auto server = Start(folder_.Address("s.sock"));
  std::thread waiter([&] { server->Wait(); });
  server->Shutdown(absl::ZeroDuration());
  server->Shutdown(absl::ZeroDuration());
  waiter.join();
}

TEST_F(ServerTest, StreamsUntilTheEnd) {
  TestWeightStore store(100);
  const auto server = *Server::Start({.address = folder_.Address("w.sock")}, {&store});
  const auto context = MakeContext(absl::InfiniteDuration());
  const auto reader = v1::WeightStore::NewStub(*Connect(server->address()))
                          ->Fetch(context.get(), v1::FetchVersionRequest());
  v1::VersionPiece piece;
  uint64_t seen = 0;
  while (reader->Read(&piece)) EXPECT_EQ(piece.chunk().offset(), seen++);
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(seen, 100u);
}

TEST(WaitReady, NamesWhatItWaitedFor) {
  const SocketFolder folder;
  const auto channel = *Connect(folder.Address("nobody.sock"));
  const absl::Status status =
      WaitReady(*channel, absl::Milliseconds(50), "branch-scheduler at unix:/x");
  EXPECT_TRUE(absl::IsDeadlineExceeded(status));
  EXPECT_EQ(Message(status), "branch-scheduler at unix:/x: not reachable within 50ms");
}

TEST(Connect, RefusesWhatCannotBeCalled) {
  EXPECT_FALSE(Connect("").ok());
  EXPECT_FALSE(Connect("localhost").ok());
  EXPECT_FALSE(Connect("127.0.0.1:0").ok());
}

}  // namespace
}  // namespace attnrl::rpc
