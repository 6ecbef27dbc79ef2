// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/client/batch_source.h"

#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/backoff.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/rpc/call_group.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "proto/attnrl/v1/branch_scheduler.grpc.pb.h"
#include "services/branch_scheduler/convert/convert.h"

namespace attnrl::scheduler {
namespace {

// A commit writes the batch's records and syncs a disk.
constexpr absl::Duration kCommitDeadline = absl::Seconds(120);
constexpr absl::Duration kRegisterDeadline = absl::Seconds(30);
// Several of them within what a scheduler takes for silence.
constexpr absl::Duration kSignOfLife = absl::Seconds(5);
constexpr absl::Duration kFirstWait = absl::Milliseconds(100);
constexpr absl::Duration kLongestWait = absl::Seconds(2);

class StubBatchSource final : public BatchSource {
 public:
  StubBatchSource(std::shared_ptr<grpc::Channel> channel, std::string place)
      : stub_(v1::BranchScheduler::NewStub(std::move(channel))), place_(std::move(place)) {}
  ~StubBatchSource() override {
    if (!signs_.joinable()) return;
    stop_.Notify();
    calls_.Cancel();
    signs_.join();
  }

  absl::Status Register(const std::string& learner,
                        const std::function<void(const std::string&)>& waiting) override {
    v1::RegisterLearnerRequest message;
    message.set_learner(learner);
    message.set_place(place_);
    v1::RegisterLearnerReply reply;
    ATTNRL_RETURN_IF_ERROR(
        UntilAnswered("BranchScheduler/RegisterLearner", "registering", waiting, [&] {
          const rpc::Call call(calls_, kRegisterDeadline);
          return rpc::FromGrpc(stub_->RegisterLearner(call.context(), message, &reply),
                               "registering");
        }));
    epoch_ = reply.learner_epoch();
    if (!signs_.joinable()) {
      signs_ = std::thread([this, learner, epoch = epoch_] { ShowLife(learner, epoch); });
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TrainingBatch> NextBatch(
      const BatchRequest& request,
      const std::function<void(const std::string&)>& waiting) override {
    TrainingBatch batch;
    ATTNRL_RETURN_IF_ERROR(
        UntilAnswered("BranchScheduler/NextBatch", absl::StrCat("batch ", request.batch), waiting,
                      [&]() -> absl::Status {
                        ATTNRL_ASSIGN_OR_RETURN(batch, Receive(request, waiting));
                        return absl::OkStatus();
                      }));
    return batch;
  }

  absl::StatusOr<CommitReply> CommitBatch(
      const BatchCommit& commit, const std::function<void(const std::string&)>& waiting) override {
    v1::CommitBatchRequest message;
    ToProto(commit, &message);
    message.set_learner_epoch(epoch_);
    v1::CommitBatchReply reply;
    const std::string what = absl::StrCat("commit of batch ", commit.batch);
    ATTNRL_RETURN_IF_ERROR(UntilAnswered("BranchScheduler/CommitBatch", what, waiting, [&] {
      const rpc::Call call(calls_, kCommitDeadline);
      return rpc::FromGrpc(stub_->CommitBatch(call.context(), message, &reply), what);
    }));
    return FromProto(reply);
  }

  void Cancel() override { calls_.Cancel(); }

 private:
  // A learner that trains for minutes says nothing else meanwhile. Errors are for the other calls.
  void ShowLife(const std::string& learner, uint64_t epoch) {
    v1::RegisterLearnerRequest message;
    message.set_learner(learner);
    message.set_learner_epoch(epoch);
    while (!stop_.WaitForNotificationWithTimeout(kSignOfLife)) {
      v1::RegisterLearnerReply reply;
      const rpc::Call call(calls_, kSignOfLife);
      (void)stub_->RegisterLearner(call.context(), message, &reply);
    }
  }

  // The scheduler is away, was killed in the middle of an answer, or is too slow or too busy today.
  static bool IsWorthAnotherTry(const absl::Status& status) {
    return absl::IsUnavailable(status) || absl::IsCancelled(status) ||
           absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
  }

  absl::Status UntilAnswered(const char* method, const std::string& what,
                             const std::function<void(const std::string&)>& waiting,
                             const std::function<absl::Status()>& attempt) {
    Backoff backoff(kFirstWait, kLongestWait);
    absl::Status said;
    do {
      const absl::Status status = attempt();
      if (status.ok() || !IsWorthAnotherTry(status)) return status;
      if (calls_.cancelled()) break;
      // It may stay the same for hours.
      if (status != said) {
        observe::LogWarning("the scheduler doesn't answer, trying again",
                            {{"what", what}, {"status", status}});
        said = status;
      }
      if (waiting) waiting(absl::StrCat(what, ": the scheduler doesn't answer"));
    } while (calls_.WaitToRetry(method, backoff.Next()));
    return absl::CancelledError(absl::StrCat(what, ": the learner is stopping"));
  }

  absl::StatusOr<TrainingBatch> Receive(const BatchRequest& request,
                                        const std::function<void(const std::string&)>& waiting) {
    const std::string what = absl::StrCat("batch ", request.batch);
    // No deadline: a batch takes as long as it takes. The scheduler speaks every few seconds, and
    // keepalive notices when it is gone.
    const rpc::Call call(calls_, absl::InfiniteDuration());
    v1::NextBatchRequest message;
    ToProto(request, &message);
    message.set_learner_epoch(epoch_);
    const auto stream = stub_->NextBatch(call.context(), message);
    TrainingBatch batch;
    uint32_t announced = 0;
    std::optional<uint32_t> ended;
    v1::NextBatchReply reply;
    while (stream->Read(&reply)) {
      if (reply.has_waiting() && waiting) waiting(reply.waiting().reason());
      if (reply.has_header()) {
        batch = FromProto(reply.header());
        announced = reply.header().samples();
      }
      for (const v1::TrainingSample& sample : reply.samples().samples()) {
        batch.samples.push_back(FromProto(sample));
      }
      if (reply.has_end()) ended = reply.end().samples();
    }
    ATTNRL_RETURN_IF_ERROR(rpc::FromGrpc(call.Finish([&] { return stream->Finish(); }), what));
    if (ended != announced || batch.samples.size() != announced || batch.batch != request.batch) {
      return absl::DataLossError(absl::StrCat(what, ": ", batch.samples.size(),
                                              " samples arrived, but ", announced,
                                              " were announced"));
    }
    return batch;
  }

  const std::unique_ptr<v1::BranchScheduler::Stub> stub_;
  const std::string place_;
  rpc::CallGroup calls_;
  uint64_t epoch_ = 0;  // 0: not registered
  absl::Notification stop_;
  std::thread signs_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BatchSource>> ConnectBatchSource(const std::string& address,
                                                                const rpc::Security& security,
                                                                const std::string& place) {
  ATTNRL_ASSIGN_OR_RETURN(
      std::shared_ptr<grpc::Channel> channel,
      rpc::Connect(address, {.security = security, .peer = rpc::Role::kBranchScheduler}));
  return std::make_unique<StubBatchSource>(std::move(channel), place);
}

}  // namespace attnrl::scheduler
