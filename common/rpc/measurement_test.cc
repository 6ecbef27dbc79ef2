// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/measurement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/testing/test_services.h"

namespace attnrl::rpc {
namespace {

double Calls(const std::string& code) {
  return Series("attnrl_rpc_client_requests_total{code=\"" + code +
                "\",method=\"Verify\",target=\"Verifier\"}");
}

double Messages(const std::string& direction, const std::string& method, const std::string& limit) {
  return Series("attnrl_rpc_message_bytes_bucket{direction=\"" + direction + "\",method=\"" +
                method + "\",service=\"" + (method == "Verify" ? "Verifier" : "WeightStore") +
                "\",le=\"" + limit + "\"}");
}

TEST(Measurement, CountsCallsByTheCodeThatTheCallerSeesAndTheirBytesByWhoSendsThem) {
  const SocketFolder folder;
  TestVerifier service([](const v1::VerifyRequest& request, v1::VerifyReply* reply) {
    reply->add_results()->set_extracted(std::string(100'000, 'x'));
    return request.responses_size() == 0 ? absl::NotFoundError("nothing") : absl::OkStatus();
  });
  const auto server = Server::Start({.address = folder.Address("a")}, {&service});
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel = Connect(folder.Address("a")).value();
  v1::VerifyRequest request;
  request.add_responses()->set_response(std::string(1'000, 'x'));
  const double ok = Calls("OK"), missing = Calls("NOT_FOUND"), away = Calls("UNAVAILABLE");
  const double tiny = Messages("request", "Verify", "256");
  const double small = Messages("request", "Verify", "4096");
  const double below = Messages("response", "Verify", "65536");
  const double large = Messages("response", "Verify", "1048576");

  v1::VerifyReply reply;
  ASSERT_TRUE(CallVerify(channel, request, &reply).ok());
  EXPECT_TRUE(absl::IsNotFound(CallVerify(channel, {}, &reply)));
  (*server)->Shutdown(absl::ZeroDuration());
  EXPECT_TRUE(absl::IsUnavailable(CallVerify(channel, request, &reply, absl::Seconds(5))));

  EXPECT_EQ(Calls("OK"), ok + 1);
  EXPECT_EQ(Calls("NOT_FOUND"), missing + 1);
  EXPECT_EQ(Calls("UNAVAILABLE"), away + 1);
  EXPECT_EQ(Messages("request", "Verify", "256"), tiny + 1) << "the empty one";
  EXPECT_GE(Messages("request", "Verify", "4096"), small + 2) << "maybe the one that never left";
  EXPECT_EQ(Messages("response", "Verify", "65536"), below) << "an error has no message";
  EXPECT_EQ(Messages("response", "Verify", "1048576"), large + 1);
}

TEST(Measurement, CountsTheMessagesOfAStreamOneByOne) {
  const SocketFolder folder;
  TestWeightStore service(3);
  const auto server = Server::Start({.address = folder.Address("a")}, {&service});
  ASSERT_TRUE(server.ok()) << server.status();
  const auto stub = v1::WeightStore::NewStub(Connect(folder.Address("a")).value());
  const auto context = MakeContext(absl::Seconds(20));
  const double before = Messages("response", "Fetch", "+Inf");
  const auto reader = stub->Fetch(context.get(), {});
  v1::VersionPiece piece;
  while (reader->Read(&piece)) {
  }
  ASSERT_TRUE(reader->Finish().ok());
  EXPECT_EQ(Messages("response", "Fetch", "+Inf"), before + 3);
}

TEST(Measurement, CountsRetriesByTheirMethod) {
  const std::string name = "attnrl_rpc_client_retries_total{method=\"Verify\",target=\"Verifier\"}";
  const double before = Series(name);
  CountRetry("Verifier/Verify");
  EXPECT_EQ(Series(name), before + 1);
}

}  // namespace
}  // namespace attnrl::rpc
