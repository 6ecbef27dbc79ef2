// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/handler.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/observe/metrics.h"
#include "common/rpc/testing/test_services.h"

namespace attnrl::rpc {
namespace {

using ::testing::HasSubstr;

double Requests(const char* code) {
  return observe::GetCounter(observe::kRpcRequestsTotal, {"Verifier", "Verify", code}).Value();
}

class HandlerTest : public ::testing::Test {
 protected:
  HandlerTest()
      : server_(*Server::Start({.address = folder_.Address("s.sock")}, {&service_})),
        channel_(*Connect(server_->address())) {}

  absl::Status Call(absl::Duration deadline = absl::Seconds(20)) {
    v1::VerifyReply reply;
    return CallVerify(channel_, v1::VerifyRequest(), &reply, deadline);
  }

  absl::Status answer_;
  int calls_ = 0;
  SocketFolder folder_;
  TestVerifier service_{[this](const v1::VerifyRequest&, v1::VerifyReply*) {
    ++calls_;
    return answer_;
  }};
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(HandlerTest, CountsCallsByTheirCode) {
  const double before = Requests("OK");
  ASSERT_TRUE(Call().ok());
  EXPECT_EQ(Requests("OK"), before + 1);
}

TEST_F(HandlerTest, MapsAndCountsErrors) {
  const double before = Requests("FAILED_PRECONDITION");
  answer_ = absl::FailedPreconditionError("line one\nline two");
  const absl::Status status = Call();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(status.message(), "Verify: line one\\nline two");
  EXPECT_EQ(Requests("FAILED_PRECONDITION"), before + 1);
}

TEST_F(HandlerTest, KeepsInputErrorsWhatTheyAre) {
  answer_ = InputError("a", "b", "c");
  EXPECT_TRUE(IsInputError(Call()));
}

TEST_F(HandlerTest, CutsMessagesThatAHeaderCannotCarry) {
  answer_ = absl::InternalError(std::string(100'000, 'x'));
  const absl::Status status = Call();
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_LT(status.message().size(), 3000u);
}

TEST_F(HandlerTest, RefusesCallsWithoutADeadline) {
  const observe::Counter rejected =
      observe::GetCounter(observe::kRpcRejectedTotal, {"Verifier", "deadline"});
  const double before = rejected.Value();
  const absl::Status status = Call(absl::InfiniteDuration());
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("deadline: the call has none; at most 10m"));
  EXPECT_EQ(rejected.Value(), before + 1);
  EXPECT_EQ(calls_, 0);
}

TEST_F(HandlerTest, RefusesDeadlinesThatAreTooFar) {
  EXPECT_TRUE(IsInputError(Call(absl::Hours(2))));
  EXPECT_TRUE(Call(absl::Minutes(9)).ok());
  EXPECT_EQ(calls_, 1);
}

TEST_F(HandlerTest, TellsOverloadFromOtherErrors) {
  const observe::Counter overload =
      observe::GetCounter(observe::kRpcRejectedTotal, {"Verifier", "overload"});
  const double before = overload.Value();
  answer_ = absl::InternalError("broken");
  EXPECT_FALSE(Call().ok());
  EXPECT_EQ(overload.Value(), before);
  answer_ = absl::ResourceExhaustedError("the queue is full");
  EXPECT_FALSE(Call().ok());
  EXPECT_EQ(overload.Value(), before + 1);
}

TEST_F(HandlerTest, HandsEveryCodeToTheCallerAndCountsIt) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kCancelled, absl::StatusCode::kUnknown, absl::StatusCode::kNotFound,
        absl::StatusCode::kAlreadyExists, absl::StatusCode::kPermissionDenied,
        absl::StatusCode::kAborted, absl::StatusCode::kOutOfRange, absl::StatusCode::kUnimplemented,
        absl::StatusCode::kDataLoss, absl::StatusCode::kUnavailable,
        absl::StatusCode::kUnauthenticated}) {
    answer_ = absl::Status(code, "why");
    const std::string name = absl::StatusCodeToString(code);
    const double before = Requests(name.c_str());
    const absl::Status status = Call();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(status.message(), "Verify: why");
    EXPECT_EQ(Requests(name.c_str()), before + 1) << name;
  }
}

}  // namespace
}  // namespace attnrl::rpc
