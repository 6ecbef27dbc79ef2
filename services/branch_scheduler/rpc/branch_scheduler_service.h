// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/seats.h"
#include "proto/attnrl/v1/branch_scheduler.grpc.pb.h"
#include "services/branch_scheduler/rpc/work_streams.h"
#include "services/branch_scheduler/scheduler.h"

namespace attnrl::scheduler {

// The gRPC face of the scheduler: each handler checks, converts, calls Scheduler, maps the status.
// Work streams have no threads; every other call has one of gRPC's, and those that may last are few
// enough to leave threads for the others. Must outlive the server; the scheduler must outlive it.
class BranchSchedulerService final
    : public v1::BranchScheduler::WithRawCallbackMethod_Work<v1::BranchScheduler::Service> {
 public:
  explicit BranchSchedulerService(Scheduler* scheduler, const WorkStreams::Limits& limits = {})
      : scheduler_(*scheduler), work_(scheduler, limits) {}

  WorkStreams::Reactor* Work(grpc::CallbackServerContext* context) override;
  grpc::Status RegisterLearner(grpc::ServerContext* context,
                               const v1::RegisterLearnerRequest* request,
                               v1::RegisterLearnerReply* reply) override;
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
  absl::Status SendBatch(grpc::ServerContext* context, const v1::NextBatchRequest& request,
                         grpc::ServerWriter<v1::NextBatchReply>* writer);
  absl::Status SendStatuses(grpc::ServerContext* context,
                            grpc::ServerWriter<v1::StatusReply>* writer);

  Scheduler& scheduler_;
  WorkStreams work_;
  // Calls that may last. With them all taken, 256 threads leave 160 for calls that are short.
  rpc::Seats batches_{"NextBatch", 16};
  rpc::Seats watchers_{"WatchStatus", 64};
  rpc::Seats drains_{"Drain", 16};
};

}  // namespace attnrl::scheduler
