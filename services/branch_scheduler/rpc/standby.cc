// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/standby.h"

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/rpc/handler.h"
#include "proto/attnrl/v1/branch_scheduler.grpc.pb.h"

namespace attnrl::scheduler {

class Standby::Service final : public v1::BranchScheduler::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::SchedulerMessage, v1::WorkerMessage>;

  void SetOwner(const std::string& owner) {
    absl::MutexLock lock(&mutex_);
    if (owner == owner_) return;
    owner_ = owner;
    observe::LogInfo("standing by: another branch-scheduler has the run", {{"owner", owner}});
  }

  grpc::Status Work(grpc::ServerContext* context, Stream*) override {
    return rpc::HandleStream(context, "BranchScheduler/Work", [this] { return Answer(); });
  }
  grpc::Status RegisterLearner(grpc::ServerContext* context, const v1::RegisterLearnerRequest*,
                               v1::RegisterLearnerReply*) override {
    return rpc::Handle(context, "BranchScheduler/RegisterLearner", [this] { return Answer(); });
  }
  grpc::Status NextBatch(grpc::ServerContext* context, const v1::NextBatchRequest*,
                         grpc::ServerWriter<v1::NextBatchReply>*) override {
    return rpc::HandleStream(context, "BranchScheduler/NextBatch", [this] { return Answer(); });
  }
  grpc::Status CommitBatch(grpc::ServerContext* context, const v1::CommitBatchRequest*,
                           v1::CommitBatchReply*) override {
    return rpc::Handle(context, "BranchScheduler/CommitBatch", [this] { return Answer(); });
  }
  grpc::Status Status(grpc::ServerContext* context, const v1::StatusRequest*,
                      v1::StatusReply*) override {
    return rpc::Handle(context, "BranchScheduler/Status", [this] { return Answer(); });
  }
  grpc::Status WatchStatus(grpc::ServerContext* context, const v1::StatusRequest*,
                           grpc::ServerWriter<v1::StatusReply>*) override {
    return rpc::HandleStream(context, "BranchScheduler/WatchStatus", [this] { return Answer(); });
  }
  grpc::Status Pause(grpc::ServerContext* context, const v1::PauseRequest*,
                     v1::PauseReply*) override {
    return rpc::Handle(context, "BranchScheduler/Pause", [this] { return Answer(); });
  }
  grpc::Status Resume(grpc::ServerContext* context, const v1::ResumeRequest*,
                      v1::ResumeReply*) override {
    return rpc::Handle(context, "BranchScheduler/Resume", [this] { return Answer(); });
  }
  grpc::Status Drain(grpc::ServerContext* context, const v1::DrainRequest*,
                     v1::DrainReply*) override {
    return rpc::Handle(context, "BranchScheduler/Drain", [this] { return Answer(); });
  }

 private:
  absl::Status Answer() const {
    absl::MutexLock lock(&mutex_);
    return absl::UnavailableError(
        absl::StrCat("this branch-scheduler stands by: ", owner_, " has the run"));
  }

  mutable absl::Mutex mutex_;
  std::string owner_ ABSL_GUARDED_BY(mutex_);
};

Standby::Standby() = default;
Standby::~Standby() {
  if (server_ != nullptr) server_->Shutdown(absl::ZeroDuration());
}

absl::StatusOr<std::unique_ptr<Standby>> Standby::Start(const rpc::ServerOptions& options,
                                                        const std::string& owner) {
  std::unique_ptr<Standby> standby(new Standby);
  standby->service_ = std::make_unique<Service>();
  standby->SetOwner(owner);
  ATTNRL_ASSIGN_OR_RETURN(standby->server_, rpc::Server::Start(options, {standby->service_.get()}));
  standby->server_->SetStandingBy();
  return standby;
}

void Standby::SetOwner(const std::string& owner) { service_->SetOwner(owner); }

}  // namespace attnrl::scheduler
