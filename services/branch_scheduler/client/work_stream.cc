// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/client/work_stream.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/queue.h"
#include "common/base/status.h"
#include "common/rpc/call_group.h"
#include "common/rpc/channel.h"
#include "common/rpc/measurement.h"
#include "common/rpc/status.h"
#include "proto/attnrl/v1/branch_scheduler.grpc.pb.h"
#include "services/branch_scheduler/convert/convert.h"

namespace attnrl::scheduler {
namespace {

// The bound that work_stream.h names.
constexpr size_t kMaxReceived = 1024;

class StubWorkStream final : public WorkStream {
 public:
  explicit StubWorkStream(v1::BranchScheduler::Stub* stub)
      : call_(calls_, absl::InfiniteDuration()),
        stream_(stub->Work(call_.context())),
        received_(kMaxReceived),
        reader_([this] { Read(); }) {}

  ~StubWorkStream() override {
    Cancel();
    received_.Close();
    reader_.join();
  }

  absl::Status Send(const WorkerMessage& message) override {
    std::vector<v1::WorkerMessage> parts(1);
    if (const auto* result = std::get_if<ItemResult>(&message)) {
      ATTNRL_ASSIGN_OR_RETURN(parts, ToParts(*result));
    } else {
      ToProto(message, &parts.front());
    }
    absl::MutexLock lock(&mutex_);
    const bool sent =
        std::all_of(parts.begin(), parts.end(),
                    [&](const v1::WorkerMessage& part) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                      return !ended_.has_value() && !left_ && stream_->Write(part);
                    });
    if (sent) return absl::OkStatus();
    return ended_.value_or(absl::UnavailableError("the work stream is ending"));
  }

  void Leave() override {
    absl::MutexLock lock(&mutex_);
    if (!ended_.has_value() && !left_) stream_->WritesDone();
    left_ = true;
  }

  absl::StatusOr<std::optional<SchedulerMessage>> Receive(absl::Duration timeout) override {
    std::optional<SchedulerMessage> message = received_.Pop(timeout);
    if (message.has_value() || !received_.closed()) return message;
    absl::MutexLock lock(&mutex_);
    return ended_.value_or(absl::CancelledError("the work stream was cancelled"));
  }

  void Cancel() override { calls_.Cancel(); }

 private:
  void Read() {
    v1::SchedulerMessage wire;
    absl::Status broken;
    while (broken.ok() && stream_->Read(&wire)) {
      absl::StatusOr<SchedulerMessage> message = FromProto(wire);
      if (wire.has_goodbye()) message = Reason(wire.goodbye());
      broken = message.status();
      if (broken.ok() && !received_.Push(*std::move(message))) break;
    }
    if (!broken.ok()) call_.Cancel();
    // Whoever sends meanwhile finds out by itself that the stream is at its end.
    const absl::Status status =
        rpc::FromGrpc(call_.Finish([this] { return stream_->Finish(); }), "the work stream");
    absl::MutexLock lock(&mutex_);
    ended_ = broken.ok() ? Meaning(status) : broken;
    received_.Close();
  }

  static absl::Status Reason(const v1::Goodbye& goodbye) {
    const auto code = static_cast<absl::StatusCode>(goodbye.code());
    if (code == absl::StatusCode::kOk) return absl::UnavailableError(goodbye.reason());
    return absl::Status(code, goodbye.reason());
  }

  // A stream is meant to last: OK and a cancellation by the other side are ends like any other.
  absl::Status Meaning(const absl::Status& status) {
    if (calls_.cancelled()) return absl::CancelledError("the work stream was cancelled");
    if (status.ok()) return absl::UnavailableError("the scheduler ended the work stream");
    return absl::IsCancelled(status) ? absl::UnavailableError(status.message()) : status;
  }

  rpc::CallGroup calls_;
  const rpc::Call call_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerMessage, v1::SchedulerMessage>> stream_;
  BoundedQueue<SchedulerMessage> received_;
  absl::Mutex mutex_;  // one writer at a time, and none after the end
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mutex_);
  bool left_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread reader_;
};

class StubWorkConnector final : public WorkConnector {
 public:
  explicit StubWorkConnector(std::shared_ptr<grpc::Channel> channel)
      : stub_(v1::BranchScheduler::NewStub(std::move(channel))) {}

  absl::StatusOr<std::unique_ptr<WorkStream>> Open() override {
    if (opened_.exchange(true)) rpc::CountRetry("BranchScheduler/Work");
    return std::make_unique<StubWorkStream>(stub_.get());
  }

 private:
  const std::unique_ptr<v1::BranchScheduler::Stub> stub_;
  std::atomic<bool> opened_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WorkConnector>> ConnectWork(const std::string& address,
                                                           const rpc::Security& security) {
  ATTNRL_ASSIGN_OR_RETURN(
      std::shared_ptr<grpc::Channel> channel,
      rpc::Connect(address, {.security = security, .peer = rpc::Role::kBranchScheduler}));
  return std::make_unique<StubWorkConnector>(std::move(channel));
}

}  // namespace attnrl::scheduler
