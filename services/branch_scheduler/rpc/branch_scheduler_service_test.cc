// SPDX-License-Identifier: Apache-2.0
// The service over a real socket: clients, handlers, conversions and the scheduler together.
#include "services/branch_scheduler/rpc/branch_scheduler_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/rpc/server.h"
#include "common/rpc/testing/raw_calls.h"
#include "services/branch_scheduler/client/admin.h"
#include "services/branch_scheduler/client/batch_source.h"
#include "services/branch_scheduler/client/work_stream.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler {
namespace {

using testing::Digest;
using ::testing::HasSubstr;
using testing::Simulation;
using testing::SimulationOptions;

constexpr absl::Duration kLong = absl::Seconds(30);

// A scheduler behind a socket; the test is the worker and the learner.
class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() : run_(Options()) {
    run_.UseThreads();
    EXPECT_TRUE(run_.Start().ok());
    Serve();
    work_ = *ConnectWork(address_);
    batches_ = *ConnectBatchSource(address_);
    admin_ = *ConnectAdmin(address_);
  }
  ~ServiceTest() override { run_.scheduler().Stop(); }

  static SimulationOptions Options() {
    SimulationOptions options;
    options.steps = 2;
    options.criterion = tree::Criterion::kEarliest;
    return options;
  }

  void Serve() {
    address_ = absl::StrCat("unix:", run_.folder(), "/s.sock");
    service_ = std::make_unique<BranchSchedulerService>(&run_.scheduler());
    auto server = rpc::Server::Start({.address = address_}, {service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // Kills the scheduler and starts another one on its database and address.
  void Restart() {
    run_.scheduler().Stop();
    server_->Shutdown(absl::ZeroDuration());
    server_.reset();
    run_.Kill();
    ASSERT_TRUE(run_.Start().ok());
    Serve();
  }

  // Works until told to stop, over as many streams as it takes.
  void Work(const std::string& name) {
    std::vector<ItemResult> unacknowledged;
    while (!stop_) {
      auto stream = *work_->Open();
      Register hello{name, 4, "numerics", {}, 4};
      for (const ItemResult& result : unacknowledged) {
        hello.held.push_back({result.lease, result.item});
      }
      (void)stream->Send(hello);
      for (;;) {
        auto message = stream->Receive(absl::Milliseconds(50));
        if (!message.ok() || stop_) break;
        if (!message->has_value()) continue;
        if (const auto* registered = std::get_if<Registered>(&**message)) {
          std::erase_if(unacknowledged, [&](const ItemResult& result) {
            return std::find(registered->adopted.begin(), registered->adopted.end(),
                             result.lease) == registered->adopted.end();
          });
          for (const ItemResult& result : unacknowledged) (void)stream->Send(result);
        } else if (const auto* lease = std::get_if<Lease>(&**message)) {
          unacknowledged.push_back(Simulation::Sample(lease->item, lease->lease, false));
          (void)stream->Send(unacknowledged.back());
        } else if (const auto* ack = std::get_if<Ack>(&**message)) {
          std::erase_if(unacknowledged,
                        [&](const ItemResult& result) { return result.lease == ack->lease; });
        }
      }
      Clock::Real().Sleep(absl::Milliseconds(20));
    }
  }

  absl::StatusOr<TrainingBatch> Next(uint32_t batch, std::string* reason = nullptr) {
    return batches_->NextBatch({.batch = batch, .version = {batch, Digest(batch)}},
                               [reason](const std::string& why) {
                                 if (reason != nullptr) *reason = why;
                               });
  }

  Simulation run_;
  std::string address_;
  std::unique_ptr<BranchSchedulerService> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<WorkConnector> work_;
  std::unique_ptr<BatchSource> batches_;
  std::unique_ptr<Admin> admin_;
  std::atomic<bool> stop_ = false;
};

TEST_F(ServiceTest, ARunGoesThroughTheSocketsAndEnds) {
  std::thread worker([this] { Work("w"); });
  for (uint32_t b = 0; b < 2; ++b) {
    auto batch = Next(b);
    ASSERT_TRUE(batch.ok()) << batch.status();
    EXPECT_EQ(batch->batch, b);
    EXPECT_EQ(batch->last, b == 1);
    EXPECT_EQ(*batch, *Next(b)) << "asking again gives the same bytes";
    BatchCommit commit{.batch = b, .version = {b + 1, Digest(b + 1)}};
    auto reply = batches_->CommitBatch(commit, nullptr);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->finished, b == 1);
  }
  EXPECT_TRUE(absl::IsOutOfRange(Next(2).status()));
  auto status = admin_->Status(kLong);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->state, RunState::kFinished);
  EXPECT_EQ(status->steps_done, 2u);
  EXPECT_FALSE(status->last_metrics_json.empty());
  EXPECT_GT(status->workers[0].results, 0u);
  stop_ = true;
  worker.join();
}

TEST_F(ServiceTest, ClientsWaitThroughARestartOfTheScheduler) {
  std::thread worker([this] { Work("w"); });
  ASSERT_TRUE(Next(0).ok());
  absl::StatusOr<TrainingBatch> batch = absl::UnknownError("not asked");
  ASSERT_TRUE(batches_->CommitBatch({.batch = 0, .version = {1, Digest(1)}}, nullptr).ok());
  std::thread learner([&] { batch = Next(1); });
  Restart();
  learner.join();
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->batch, 1u);
  stop_ = true;
  worker.join();
}

// What a stream ends with, whatever comes before.
absl::Status LastStatus(WorkStream& stream) {
  for (;;) {
    auto message = stream.Receive(kLong);
    if (!message.ok()) return message.status();
    if (!message->has_value()) return absl::DeadlineExceededError("the stream doesn't end");
  }
}

TEST_F(ServiceTest, OfTwoWorkersWithOneNameTheOlderIsToldToGo) {
  auto older = *work_->Open();
  ASSERT_TRUE(older->Send(Register{"w", 4, "numerics", {}, 0}).ok());
  ASSERT_TRUE(older->Receive(kLong)->has_value());
  auto newer = *work_->Open();
  ASSERT_TRUE(newer->Send(Register{"w", 4, "numerics", {}, 0}).ok());
  const absl::Status end = LastStatus(*older);
  EXPECT_TRUE(absl::IsFailedPrecondition(end)) << end;
  EXPECT_THAT(end.message(), HasSubstr("another worker has registered as w"));
  EXPECT_TRUE(newer->Receive(kLong)->has_value());
  EXPECT_EQ(admin_->Status(kLong)->workers.size(), 1u);
}

TEST_F(ServiceTest, AStoppingSchedulerTellsItsWorkersWhy) {
  auto stream = *work_->Open();
  ASSERT_TRUE(stream->Send(Register{"w", 4, "numerics", {}, 0}).ok());
  ASSERT_TRUE(stream->Receive(kLong)->has_value());
  run_.scheduler().Stop();
  const absl::Status end = LastStatus(*stream);
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
  EXPECT_THAT(end.message(), HasSubstr("asked to stop"));
}

TEST_F(ServiceTest, AWaitingLearnerHearsWhatIsMissingAndCanBeCancelled) {
  std::string reason;
  absl::Status status;
  absl::Notification heard;
  std::thread learner([&] {
    status = batches_
                 ->NextBatch({.batch = 0, .version = {0, Digest(0)}},
                             [&](const std::string& why) {
                               reason = why;
                               if (!heard.HasBeenNotified()) heard.Notify();
                             })
                 .status();
  });
  ASSERT_TRUE(heard.WaitForNotificationWithTimeout(kLong));
  batches_->Cancel();
  learner.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_THAT(reason, HasSubstr("batch 0: 0 of 3 problems graded"));
  EXPECT_THAT(reason, HasSubstr("no worker is connected"));
}

TEST_F(ServiceTest, ALearnerThatCannotRegisterYetHearsSoAndCanBeCancelled) {
  server_->Shutdown(absl::ZeroDuration());
  std::string reason;
  const absl::Status status = batches_->Register("learner", [&](const std::string& why) {
    reason = why;
    batches_->Cancel();
  });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(reason, "registering: the scheduler doesn't answer");
}

TEST_F(ServiceTest, ANewLearnerEndsTheWaitOfTheOlderOneAndRefusesItsCommits) {
  ASSERT_TRUE(batches_->Register("older", nullptr).ok());
  absl::Status ended;
  absl::Notification waits;
  std::thread older([&] {
    const auto heard = [&](const std::string&) {
      if (!waits.HasBeenNotified()) waits.Notify();
    };
    ended = batches_->NextBatch({.batch = 0, .version = {0, Digest(0)}}, heard).status();
  });
  ASSERT_TRUE(waits.WaitForNotificationWithTimeout(kLong));
  const auto newer = *ConnectBatchSource(address_);
  ASSERT_TRUE(newer->Register("newer", nullptr).ok());
  older.join();
  EXPECT_TRUE(absl::IsAborted(ended)) << ended;
  EXPECT_THAT(ended.message(), HasSubstr("another learner, newer, has taken over"));

  std::thread worker([this] { Work("w"); });
  EXPECT_TRUE(newer->NextBatch({.batch = 0, .version = {0, Digest(0)}}, {}).ok());
  const BatchCommit commit{.batch = 0, .version = {1, Digest(1)}};
  Restart();
  EXPECT_TRUE(absl::IsAborted(batches_->CommitBatch(commit, nullptr).status()));
  EXPECT_TRUE(newer->CommitBatch(commit, nullptr).ok());
  stop_ = true;
  worker.join();
}

TEST_F(ServiceTest, RefusalsReachTheWorkerAsTheyAre) {
  auto stream = *work_->Open();
  ASSERT_TRUE(stream->Send(Renew{}).ok());
  auto message = stream->Receive(kLong);
  EXPECT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument) << message.status();
  EXPECT_FALSE(stream->Send(Renew{}).ok());
}

TEST_F(ServiceTest, ADrainEndsTheStreamsSoThatWorkersComeBack) {
  auto stream = *work_->Open();
  ASSERT_TRUE(stream->Send(Register{"w", 1, "numerics", {}, 1}).ok());
  auto registered = stream->Receive(kLong);
  ASSERT_TRUE(registered.ok() && registered->has_value());
  ASSERT_TRUE(std::holds_alternative<Registered>(**registered));
  ASSERT_TRUE(admin_->Drain(absl::ZeroDuration()).ok());
  auto message = stream->Receive(kLong);
  while (message.ok() && message->has_value()) message = stream->Receive(kLong);
  EXPECT_TRUE(absl::IsUnavailable(message.status())) << message.status();
  EXPECT_EQ(admin_->Status(kLong)->state, RunState::kDraining);
  ASSERT_TRUE(admin_->Resume(/*keep_pause=*/false, kLong).ok());
  EXPECT_EQ(admin_->Status(kLong)->state, RunState::kStarting);
}

TEST_F(ServiceTest, WatchingTellsEveryChange) {
  std::vector<RunState> states;
  std::thread watcher([&] {
    EXPECT_TRUE(admin_
                    ->WatchStatus([&](const RunStatus& status) {
                      states.push_back(status.state);
                      if (states.size() == 1) (void)admin_->Pause("test", kLong);
                      return status.state != RunState::kPaused;
                    })
                    .ok());
  });
  watcher.join();
  EXPECT_EQ(states.front(), RunState::kStarting);
  EXPECT_EQ(states.back(), RunState::kPaused);
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_F(ServiceTest, NoCallTakesMoreThan128MebibytesWhateverItsBytes) {
  rpc::ExpectNoCallTakesMoreThan(
      int64_t{128} << 20, *rpc::Connect(address_),
      *google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          "attnrl.v1.BranchScheduler"),
      rpc::kMaxRequestBytes);
}
#endif

}  // namespace
}  // namespace attnrl::scheduler
