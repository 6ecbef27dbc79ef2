// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/attnrl/v1/branch_scheduler.grpc.pb.h"
#include "services/branch_scheduler/scheduler.h"

namespace attnrl::scheduler {

// The gRPC face of the scheduler: each handler checks, converts, calls Scheduler, maps the status.
// Runs on gRPC's threads; a Work stream takes one more, for reading. Must outlive the server; the
// scheduler must outlive it.
class BranchSchedulerService final : public v1::BranchScheduler::Service {
 public:
  explicit BranchSchedulerService(Scheduler* scheduler) : scheduler_(*scheduler) {}

  grpc::Status Work(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::SchedulerMessage, v1::WorkerMessage>* stream) override;
  grpc::Status NextBatch(grpc::ServerContext* context, const v1::NextBatchRequest* request,
                         grpc::ServerWriter<v1::NextBatchReply>* writer) override;
  grpc::Status CommitBatch(grpc::ServerContext* context, const v1::CommitBatchRequest* request,
                           v1::CommitBatchReply* reply) override;
  grpc::Status Status(grpc::ServerContext* context, const v1::StatusRequest* request,
                      v1::StatusReply* reply) override;
  grpc::Status WatchStatus(grpc::ServerContext* context, const v1::StatusRequest* request,
                           grpc::ServerWriter<v1::StatusReply>* writer) override;
  grpc::Status Pause(grpc::ServerContext* context, const v1::PauseRequest* request,
                     v1::PauseReply* reply) override;
  grpc::Status Resume(grpc::ServerContext* context, const v1::ResumeRequest* request,
                      v1::ResumeReply* reply) override;
  grpc::Status Drain(grpc::ServerContext* context, const v1::DrainRequest* request,
                     v1::DrainReply* reply) override;

 private:
  using WorkServerStream = grpc::ServerReaderWriter<v1::SchedulerMessage, v1::WorkerMessage>;

  absl::Status ServeWorker(grpc::ServerContext* context, WorkServerStream* stream);
  absl::Status SendBatch(grpc::ServerContext* context, const v1::NextBatchRequest& request,
                         grpc::ServerWriter<v1::NextBatchReply>* writer);
  absl::Status SendStatuses(grpc::ServerContext* context,
                            grpc::ServerWriter<v1::StatusReply>* writer);

  Scheduler& scheduler_;
};

}  // namespace attnrl::scheduler
