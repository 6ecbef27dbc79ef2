// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/branch_scheduler_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/handler.h"
#include "services/branch_scheduler/convert/convert.h"

namespace attnrl::scheduler {
namespace {

// How often a waiting learner hears what is missing, and how late a lost peer may be noticed.
constexpr absl::Duration kWaitingInterval = absl::Seconds(2);
constexpr absl::Duration kLookUp = absl::Seconds(1);
constexpr absl::Duration kStatusInterval = absl::Milliseconds(250);
// Samples of a batch travel in pieces of about this many tokens (at most 20 bytes each).
constexpr size_t kTokensPerPiece = size_t{64} * 1024;

absl::Status PeerGone(const char* what) {
  return absl::CancelledError(absl::StrCat(what, ": the other side is gone"));
}

}  // namespace

WorkStreams::Reactor* BranchSchedulerService::Work(grpc::CallbackServerContext* context) {
  return work_.Open(context);
}

grpc::Status BranchSchedulerService::RegisterLearner(grpc::ServerContext* context,
                                                     const v1::RegisterLearnerRequest* request,
                                                     v1::RegisterLearnerReply* reply) {
  return rpc::Handle(context, "BranchScheduler/RegisterLearner", [&]() -> absl::Status {
    if (request->learner_epoch() > 0) {
      reply->set_learner_epoch(request->learner_epoch());
      return scheduler_.LearnerLives(request->learner_epoch());
    }
    ATTNRL_ASSIGN_OR_RETURN(const uint64_t epoch,
                            scheduler_.RegisterLearner(request->learner(), request->place()));
    reply->set_learner_epoch(epoch);
    return absl::OkStatus();
  });
}

grpc::Status BranchSchedulerService::NextBatch(grpc::ServerContext* context,
                                               const v1::NextBatchRequest* request,
                                               grpc::ServerWriter<v1::NextBatchReply>* writer) {
  return rpc::HandleStream(context, "BranchScheduler/NextBatch", [&] {
    return batches_.Run([&] { return SendBatch(context, *request, writer); });
  });
}

absl::Status BranchSchedulerService::SendBatch(grpc::ServerContext* context,
                                               const v1::NextBatchRequest& request,
                                               grpc::ServerWriter<v1::NextBatchReply>* writer) {
  const BatchRequest wanted = FromProto(request);
  ATTNRL_RETURN_IF_ERROR(scheduler_.Announce(wanted));
  std::optional<TrainingBatch> batch;
  for (;;) {
    std::string reason;
    ATTNRL_ASSIGN_OR_RETURN(batch, scheduler_.AwaitBatch(wanted, kWaitingInterval, &reason));
    if (batch.has_value()) break;
    v1::NextBatchReply waiting;
    waiting.mutable_waiting()->set_reason(reason);
    if (context->IsCancelled() || !writer->Write(waiting)) return PeerGone("NextBatch");
  }
  v1::NextBatchReply reply;
  ToProto(*batch, reply.mutable_header());
  bool sent = writer->Write(reply);
  for (size_t next = 0; sent && next < batch->samples.size();) {
    v1::BatchSamples* piece = reply.mutable_samples();
    piece->Clear();
    for (size_t tokens = 0; next < batch->samples.size() && tokens < kTokensPerPiece; ++next) {
      const TrainingSample& sample = batch->samples[next];
      tokens += sample.prompt_ids.size() + sample.response_ids.size();
      ToProto(sample, piece->add_samples());
    }
    sent = writer->Write(reply);
  }
  reply.mutable_end()->set_samples(static_cast<uint32_t>(batch->samples.size()));
  return sent && writer->Write(reply) ? absl::OkStatus() : PeerGone("NextBatch");
}

grpc::Status BranchSchedulerService::CommitBatch(grpc::ServerContext* context,
                                                 const v1::CommitBatchRequest* request,
                                                 v1::CommitBatchReply* reply) {
  return rpc::Handle(context, "BranchScheduler/CommitBatch", [&]() -> absl::Status {
    ATTNRL_ASSIGN_OR_RETURN(CommitReply done, scheduler_.Commit(FromProto(*request)));
    ToProto(done, reply);
    return absl::OkStatus();
  });
}

grpc::Status BranchSchedulerService::Status(grpc::ServerContext* context, const v1::StatusRequest*,
                                            v1::StatusReply* reply) {
  return rpc::Handle(context, "BranchScheduler/Status", [&] {
    ToProto(scheduler_.Status(), reply);
    return absl::OkStatus();
  });
}

grpc::Status BranchSchedulerService::WatchStatus(grpc::ServerContext* context,
                                                 const v1::StatusRequest*,
                                                 grpc::ServerWriter<v1::StatusReply>* writer) {
  return rpc::HandleStream(context, "BranchScheduler/WatchStatus", [&] {
    return watchers_.Run([&] { return SendStatuses(context, writer); });
  });
}

absl::Status BranchSchedulerService::SendStatuses(grpc::ServerContext* context,
                                                  grpc::ServerWriter<v1::StatusReply>* writer) {
  uint64_t seen = 0;
  while (!context->IsCancelled()) {
    const uint64_t now = scheduler_.AwaitChange(seen, kLookUp);
    ATTNRL_RETURN_IF_ERROR(scheduler_.failure());
    if (now == seen) continue;
    seen = now;
    v1::StatusReply reply;
    ToProto(scheduler_.Status(), &reply);
    if (!writer->Write(reply)) break;
    Clock::Real().Sleep(kStatusInterval);
  }
  return PeerGone("WatchStatus");
}

grpc::Status BranchSchedulerService::Pause(grpc::ServerContext* context,
                                           const v1::PauseRequest* request, v1::PauseReply*) {
  return rpc::Handle(context, "BranchScheduler/Pause",
                     [&] { return scheduler_.Pause(request->reason()); });
}

grpc::Status BranchSchedulerService::Resume(grpc::ServerContext* context,
                                            const v1::ResumeRequest* request, v1::ResumeReply*) {
  return rpc::Handle(context, "BranchScheduler/Resume",
                     [&] { return scheduler_.Resume(request->keep_pause()); });
}

grpc::Status BranchSchedulerService::Drain(grpc::ServerContext* context,
                                           const v1::DrainRequest* request, v1::DrainReply* reply) {
  return rpc::Handle(context, "BranchScheduler/Drain", [&]() -> absl::Status {
    const double grace = request->grace_seconds();
    if (!(grace >= 0) || absl::Seconds(grace) > rpc::kMaxDeadline) {
      return InputError("grace_seconds", absl::StrCat(grace),
                        absl::StrCat("0 to ", absl::ToInt64Seconds(rpc::kMaxDeadline)));
    }
    return drains_.Run([&]() -> absl::Status {
      ATTNRL_ASSIGN_OR_RETURN(const uint32_t leases, scheduler_.Drain(absl::Seconds(grace)));
      reply->set_returned_leases(leases);
      return absl::OkStatus();
    });
  });
}

}  // namespace attnrl::scheduler
