// SPDX-License-Identifier: Apache-2.0
// Many Work streams at once, and those that misbehave, over a real socket.
#include "services/branch_scheduler/rpc/work_streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "proto/attnrl/v1/branch_scheduler.grpc.pb.h"
#include "services/branch_scheduler/client/admin.h"
#include "services/branch_scheduler/client/work_stream.h"
#include "services/branch_scheduler/convert/convert.h"
#include "services/branch_scheduler/rpc/branch_scheduler_service.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler {
namespace {

using ::testing::HasSubstr;
using testing::Simulation;

constexpr absl::Duration kPatience = absl::Seconds(30);

class WorkStreamsTest : public ::testing::Test {
 protected:
  WorkStreamsTest() : run_({}) {
    run_.UseThreads();
    EXPECT_TRUE(run_.Start().ok());
  }
  ~WorkStreamsTest() override { run_.scheduler().Stop(); }

  void Serve(const WorkStreams::Limits& limits) {
    service_ = std::make_unique<BranchSchedulerService>(&run_.scheduler(), limits);
    auto server = rpc::Server::Start({.address = address_}, {service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    work_ = *ConnectWork(address_);
    admin_ = *ConnectAdmin(address_);
  }

  // A stream whose worker is registered.
  std::unique_ptr<WorkStream> Registered(const std::string& name) {
    auto stream = *work_->Open();
    EXPECT_TRUE(stream->Send(Register{name, 1, "numerics", {}, 0}).ok());
    const auto answer = stream->Receive(kPatience);
    EXPECT_TRUE(answer.ok() && answer->has_value()) << answer.status();
    return stream;
  }

  Simulation run_;
  const std::string address_ = absl::StrCat("unix:", run_.folder(), "/s.sock");
  std::unique_ptr<BranchSchedulerService> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<WorkConnector> work_;
  std::unique_ptr<Admin> admin_;
};

TEST_F(WorkStreamsTest, MoreWorkersThanThereAreThreadsLeaveRoomForPeople) {
  Serve({});
  std::vector<std::unique_ptr<WorkStream>> streams;
  for (int i = 0; i < 300; ++i) streams.push_back(Registered(absl::StrCat("w", i)));
  const auto status = admin_->Status(kPatience);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->workers.size(), 300u);
}

TEST_F(WorkStreamsTest, AStreamThatDoesNotRegisterIsClosedWithALineThatSaysSo) {
  Serve({.register_within = absl::Milliseconds(1)});
  const auto stream = *work_->Open();
  const auto end = stream->Receive(kPatience);
  EXPECT_TRUE(absl::IsDeadlineExceeded(end.status())) << end.status();
  EXPECT_THAT(std::string(end.status().message()), HasSubstr("has to come within 1ms"));
}

TEST_F(WorkStreamsTest, AStreamOverTheBoundIsRefusedByName) {
  Serve({.streams = 1});
  auto first = Registered("first");
  const auto second = *work_->Open();
  const auto end = second->Receive(kPatience);
  EXPECT_TRUE(absl::IsResourceExhausted(end.status())) << end.status();
  EXPECT_THAT(std::string(end.status().message()), HasSubstr("1 work streams are open"));
  EXPECT_EQ(admin_->Status(kPatience)->workers.size(), 1u) << "the one within it stays";
}

// Of a lease that the worker never had, so that it is fenced.
ItemResult LargeResult() {
  ItemResult result;
  result.lease = LeaseId{7};
  SampleResult& sample = result.samples.emplace_back();
  sample.token_ids.resize(300'000);
  sample.logprobs.resize(300'000);
  sample.entropy.resize(300'000);
  return result;
}

TEST_F(WorkStreamsTest, AResultThatComesInPartsIsAnsweredOnce) {
  Serve({});
  const auto stream = Registered("w");
  ASSERT_TRUE(stream->Send(LargeResult()).ok());
  const auto answer = stream->Receive(kPatience);
  ASSERT_TRUE(answer.ok() && answer->has_value()) << answer.status();
  EXPECT_EQ(std::get<Ack>(**answer).lease, LeaseId{7});
  EXPECT_EQ(std::get<Ack>(**answer).verdict, AckVerdict::kFenced);
}

TEST_F(WorkStreamsTest, PartsOfResultsOverTheirBytesAreRefusedByTheNameOfTheBound) {
  Serve({.part_bytes = 2 << 20});
  const auto stream = Registered("w");
  ASSERT_TRUE(stream->Send(LargeResult()).ok());
  const absl::Status end = stream->Receive(kPatience).status();
  EXPECT_TRUE(absl::IsResourceExhausted(end)) << end;
  EXPECT_THAT(std::string(end.message()), HasSubstr("take the 2097152 bytes that they may take"));
}

TEST_F(WorkStreamsTest, AResultWhoseRestDoesNotComeGivesItsBytesBack) {
  Serve({.part_bytes = 8 << 20, .room_within = absl::Milliseconds(1)});
  ItemResult large = LargeResult();
  auto parts = ToParts(large);
  ASSERT_GT(parts->size(), 1u);
  const auto stream = v1::BranchScheduler::NewStub(*rpc::Connect(address_));
  grpc::ClientContext context;
  const auto raw = stream->Work(&context);
  v1::WorkerMessage hello;
  ToProto(WorkerMessage(Register{"w", 1, "numerics", {}, 0}), &hello);
  ASSERT_TRUE(raw->Write(hello));
  ASSERT_TRUE(raw->Write(parts->front()));
  v1::SchedulerMessage answer;
  while (raw->Read(&answer) && !answer.has_goodbye()) {
  }
  ASSERT_TRUE(answer.has_goodbye()) << "a worker that still sends would miss a status";
  EXPECT_THAT(answer.goodbye().reason(), HasSubstr("the next part has to come within 1ms"));
}

TEST_F(WorkStreamsTest, AMessageOfTooManyPartsIsRefusedBeforeItIsParsed) {
  Serve({.shape = 10});
  const auto stream = *work_->Open();
  ASSERT_TRUE(stream->Send(Register{"w", 1, "numerics", std::vector<LeaseRef>(20), 0}).ok());
  const absl::Status end = stream->Receive(kPatience).status();
  EXPECT_TRUE(absl::IsResourceExhausted(end)) << end;
  EXPECT_THAT(std::string(end.message()), HasSubstr("more than 10 texts and messages"));
}

TEST_F(WorkStreamsTest, AWorkerThatLeavesInOrderHearsThatAllHasArrived) {
  Serve({});
  const auto stream = Registered("w");
  ASSERT_TRUE(stream->Send(Credits{0}).ok());
  stream->Leave();
  absl::StatusOr<std::optional<SchedulerMessage>> end = stream->Receive(kPatience);
  while (end.ok() && end->has_value()) end = stream->Receive(kPatience);
  EXPECT_THAT(std::string(end.status().message()),
              HasSubstr("the scheduler ended the work stream"));
  EXPECT_TRUE(admin_->Status(kPatience)->workers.empty());
}

}  // namespace
}  // namespace attnrl::scheduler
