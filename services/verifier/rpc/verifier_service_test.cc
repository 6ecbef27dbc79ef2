// SPDX-License-Identifier: Apache-2.0
// Service and stub-backed client together, over a Unix socket.
#include "services/verifier/rpc/verifier_service.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "common/observe/metrics.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/rpc/testing/raw_calls.h"
#include "services/verifier/client/verifier_client.h"
#include "services/verifier/grading/grader.h"

namespace attnrl::verifier {
namespace {

// Responses that this process has counted as graded, also by tests before.
int Graded() {
  const std::string name = "attnrl_verifier_results_total{status=\"graded\"} ";
  const std::string text = observe::MetricsText();
  const size_t at = text.find(name);
  return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + name.size());
}

using Abandoned = VerifierService::Abandoned;

class VerifierServiceTest : public testing::Test {
 protected:
  VerifierServiceTest()
      : address_(absl::StrCat("unix:/tmp/attnrl-verifier-test-", getpid(), ".sock")) {}

  void Serve(VerifierService::Grade grade,
             absl::Duration connection_age = absl::InfiniteDuration()) {
    service_ = std::make_unique<VerifierService>(std::move(grade));
    rpc::ServerOptions options;
    options.address = address_;
    options.max_request_bytes = static_cast<int>(kMaxMessageBytes);
    options.max_connection_age = connection_age;
    auto server = rpc::Server::Start(options, {service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->SetServing(true);
    auto client = ConnectVerifier(address_);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  // Grades in this process, and keeps the size of every call.
  VerifierService::Grade InProcess() {
    return [this](const std::vector<GradeRequest>& requests, const Abandoned&) {
      call_sizes_.push_back(requests.size());
      std::vector<GradeResult> results;
      for (const GradeRequest& request : requests) results.push_back(Grade(request));
      return absl::StatusOr<std::vector<GradeResult>>(std::move(results));
    };
  }

  const std::string address_;
  absl::Notification called_, over_;  // handlers use them until the server has ended
  std::unique_ptr<VerifierService> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<VerifierClient> client_;
  std::vector<size_t> call_sizes_;
};

TEST_F(VerifierServiceTest, SaysWhichAcceptedAnswersCanBeRead) {
  Serve(InProcess());
  std::vector<GradeRequest> requests = {
      {"a", "", {"1"}}, {"b", "", {"1", "\\frac{1}{"}}, {"c", "\\boxed{1}", {"1"}}};
  requests[0].check = requests[1].check = true;
  const auto results = client_->Verify(requests, absl::Seconds(30));
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].status, GradeStatus::kGraded);
  EXPECT_FALSE((*results)[0].correct);
  EXPECT_EQ((*results)[1].status, GradeStatus::kUnparsable);
  EXPECT_TRUE((*results)[2].correct) << "graded in a call of its own";
  EXPECT_EQ(call_sizes_, (std::vector<size_t>{2, 1}));
}

TEST_F(VerifierServiceTest, GradesManyResponsesInOrderInSeveralCalls) {
  Serve(InProcess());
  std::vector<GradeRequest> requests;
  for (int i = 0; i < 600; ++i) {
    requests.push_back(
        {absl::StrCat(i), absl::StrCat("\\boxed{", i, "}"), {absl::StrCat(i - i % 2)}});
  }
  const int before = Graded();
  auto results = client_->Verify(requests, absl::Seconds(30));
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 600u);
  for (size_t i = 0; i < 600; ++i) {
    EXPECT_EQ((*results)[i].id, absl::StrCat(i));
    EXPECT_EQ((*results)[i].correct, i % 2 == 0);
  }
  EXPECT_EQ(call_sizes_, (std::vector<size_t>{256, 256, 88}));
  EXPECT_EQ(Graded() - before, 600);
}

TEST_F(VerifierServiceTest, LargeResponsesAreSplitByBytes) {
  Serve(InProcess());
  std::string large(700 << 10, 'x');
  std::vector<GradeRequest> requests(5, GradeRequest{"", large + "\\boxed{1}", {"1"}});
  auto results = client_->Verify(requests, absl::Seconds(60));
  ASSERT_TRUE(results.ok()) << results.status();
  for (const GradeResult& result : *results) EXPECT_TRUE(result.correct);
  EXPECT_EQ(call_sizes_, (std::vector<size_t>{2, 2, 1}));
}

TEST_F(VerifierServiceTest, CallsOutliveTheAgeOfTheirConnections) {
  Serve(
      [](const std::vector<GradeRequest>& requests, const Abandoned&) {
        absl::SleepFor(absl::Milliseconds(30));
        return absl::StatusOr<std::vector<GradeResult>>({Grade(requests[0])});
      },
      absl::Milliseconds(20));
  for (int i = 0; i < 10; ++i) {
    const auto results = client_->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Seconds(30));
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_TRUE(results->at(0).correct);
  }
}

TEST_F(VerifierServiceTest, OverloadIsRetriedUntilThereIsRoom) {
  std::atomic<int> calls = 0;
  Serve([&](const std::vector<GradeRequest>& requests,
            const Abandoned&) -> absl::StatusOr<std::vector<GradeResult>> {
    if (++calls < 3) return absl::ResourceExhaustedError("the queue is full");
    return std::vector<GradeResult>{Grade(requests[0])};
  });
  auto results = client_->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Seconds(30));
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE((*results)[0].correct);
  EXPECT_EQ(calls, 3);
}

TEST_F(VerifierServiceTest, OverloadThatLastsIsAnErrorByItsName) {
  Serve([](const std::vector<GradeRequest>&,
           const Abandoned&) -> absl::StatusOr<std::vector<GradeResult>> {
    return absl::ResourceExhaustedError("the queue is full");
  });
  auto results = client_->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Milliseconds(200));
  EXPECT_TRUE(absl::IsResourceExhausted(results.status()) ||
              absl::IsDeadlineExceeded(results.status()))
      << results.status();
  EXPECT_NE(results.status().message().find("verification of 1 responses"), std::string::npos);
}

TEST_F(VerifierServiceTest, RefusesBadRequestsOnBothSides) {
  Serve(InProcess());
  auto results = client_->Verify({{"p3", "\\boxed{1}", {}}}, absl::Seconds(5));
  EXPECT_TRUE(IsInputError(results.status()));
  EXPECT_NE(results.status().message().find("p3"), std::string::npos);

  auto channel = rpc::Connect(address_);
  ASSERT_TRUE(channel.ok());
  auto stub = v1::Verifier::NewStub(*channel);
  auto code = [&](const v1::VerifyRequest& request) {
    v1::VerifyReply reply;
    auto context = rpc::MakeContext(absl::Seconds(10));
    return stub->Verify(context.get(), request, &reply).error_code();
  };
  v1::VerifyRequest many;
  for (int i = 0; i < 257; ++i) many.add_responses()->add_answers("1");
  EXPECT_EQ(code(many), grpc::StatusCode::INVALID_ARGUMENT);
  v1::VerifyRequest task;
  task.set_task("chess");
  EXPECT_EQ(code(task), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(v1::VerifyRequest()), grpc::StatusCode::OK);
  v1::VerifyReply reply;
  grpc::ClientContext without_deadline;
  EXPECT_FALSE(stub->Verify(&without_deadline, v1::VerifyRequest(), &reply).ok());
}

TEST_F(VerifierServiceTest, SaysWhatOfARequestItRefuses) {
  Serve(InProcess());
  auto stub = v1::Verifier::NewStub(*rpc::Connect(address_));
  const auto refusal = [&](const v1::VerifyRequest& request) {
    v1::VerifyReply reply;
    auto context = rpc::MakeContext(absl::Seconds(10));
    return stub->Verify(context.get(), request, &reply).error_message();
  };
  v1::VerifyRequest request;
  for (size_t i = 0; i < kMaxResponsesPerCall; ++i) request.add_responses()->add_answers("1");
  EXPECT_EQ(refusal(request), "");
  request.add_responses()->add_answers("1");
  EXPECT_EQ(refusal(request), "responses: 257 in one call; 256 at most");
  request.clear_responses();
  request.set_task("math");
  EXPECT_EQ(refusal(request), "");
  request.set_task("che\nss" + std::string(100, '!'));
  EXPECT_EQ(refusal(request), "task: \"che\\nss" + std::string(53, '!') +
                                  "...\" is no grader; graders are math, exact_match, "
                                  "multiple_choice, numeric_tolerance");
  EXPECT_EQ(call_sizes_, (std::vector<size_t>{256, 0}));  // what was refused reached no grader
}

TEST_F(VerifierServiceTest, CountsNothingAsInFlightAfterAnError) {
  Serve([](const std::vector<GradeRequest>&,
           const Abandoned&) -> absl::StatusOr<std::vector<GradeResult>> {
    return absl::InternalError("out of graders");
  });
  const auto results = client_->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Seconds(30));
  EXPECT_TRUE(absl::IsInternal(results.status())) << results.status();
  EXPECT_NE(results.status().message().find("out of graders"), std::string::npos);
  EXPECT_EQ(observe::GetGauge(observe::kVerifierInflight).Value(), 0);
}

TEST_F(VerifierServiceTest, AReplyForOtherRequestsIsDataLoss) {
  Serve([](const std::vector<GradeRequest>& requests, const Abandoned&) {
    std::vector<GradeResult> results(requests.size());
    for (GradeResult& result : results) result.id = "another";
    return absl::StatusOr<std::vector<GradeResult>>(std::move(results));
  });
  const auto results = client_->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Seconds(30));
  EXPECT_TRUE(absl::IsDataLoss(results.status())) << results.status();
}

TEST_F(VerifierServiceTest, AVerifierThatIsAwayIsWaitedForUntilTheDeadline) {
  auto client = ConnectVerifier(address_ + ".away");
  ASSERT_TRUE(client.ok());
  auto results = (*client)->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Milliseconds(300));
  EXPECT_TRUE(absl::IsUnavailable(results.status()) || absl::IsDeadlineExceeded(results.status()))
      << results.status();
}

TEST_F(VerifierServiceTest, CancelEndsTheWaitForAVerifierThatIsAway) {
  auto client = ConnectVerifier(address_ + ".away");
  ASSERT_TRUE(client.ok());
  std::thread canceller([&] { (*client)->Cancel(); });
  // Without Cancel this lasts longer than the test may.
  auto results = (*client)->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Hours(1));
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(results.status())) << results.status();
}

TEST_F(VerifierServiceTest, TheGraderHearsThatItsCallerHasLeft) {
  bool heard = false;
  Serve([&](const std::vector<GradeRequest>&,
            const Abandoned& abandoned) -> absl::StatusOr<std::vector<GradeResult>> {
    EXPECT_FALSE(abandoned());
    called_.Notify();
    for (const absl::Time until = absl::Now() + absl::Seconds(30); absl::Now() < until && !heard;) {
      heard = abandoned();
    }
    over_.Notify();
    return absl::CancelledError("nobody reads this");
  });
  std::thread canceller([&] {
    called_.WaitForNotification();
    client_->Cancel();
  });
  EXPECT_FALSE(client_->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Minutes(9)).ok());
  over_.WaitForNotification();
  canceller.join();
  EXPECT_TRUE(heard);
}

TEST_F(VerifierServiceTest, CancelEndsACallUnderWay) {
  Serve([this](const std::vector<GradeRequest>&,
               const Abandoned&) -> absl::StatusOr<std::vector<GradeResult>> {
    called_.Notify();
    over_.WaitForNotification();
    return absl::InternalError("nobody reads this");
  });
  std::thread canceller([&] {
    called_.WaitForNotification();
    client_->Cancel();
  });
  auto results = client_->Verify({{"a", "\\boxed{1}", {"1"}}}, absl::Minutes(9));
  over_.Notify();
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(results.status())) << results.status();
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_F(VerifierServiceTest, NoCallTakesMoreThan128MebibytesWhateverItsBytes) {
  Serve(InProcess());
  rpc::ExpectNoCallTakesMoreThan(
      int64_t{128} << 20, *rpc::Connect(address_),
      *google::protobuf::DescriptorPool::generated_pool()->FindServiceByName("attnrl.v1.Verifier"),
      kMaxMessageBytes);
}
#endif

}  // namespace
}  // namespace attnrl::verifier
