// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/client/admin.h"

#include <utility>

#include "common/base/status.h"
#include "common/rpc/call_group.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "proto/attnrl/v1/branch_scheduler.grpc.pb.h"
#include "services/branch_scheduler/convert/convert.h"

namespace attnrl::scheduler {
namespace {

// Beyond the grace that the scheduler itself waits.
constexpr absl::Duration kDrainMargin = absl::Seconds(10);

class StubAdmin final : public Admin {
 public:
  explicit StubAdmin(std::shared_ptr<grpc::Channel> channel)
      : stub_(v1::BranchScheduler::NewStub(std::move(channel))) {}

  absl::StatusOr<RunStatus> Status(absl::Duration deadline) override {
    const rpc::Call call(calls_, deadline);
    v1::StatusReply reply;
    ATTNRL_RETURN_IF_ERROR(
        rpc::FromGrpc(stub_->Status(call.context(), {}, &reply), "status of the scheduler"));
    return FromProto(reply);
  }

  absl::Status WatchStatus(const std::function<bool(const RunStatus&)>& use) override {
    const rpc::Call call(calls_, absl::InfiniteDuration());
    const auto stream = stub_->WatchStatus(call.context(), {});
    bool wanted = true;
    v1::StatusReply reply;
    while (wanted && stream->Read(&reply)) wanted = use(FromProto(reply));
    if (!wanted) call.Cancel();
    const absl::Status status =
        rpc::FromGrpc(call.Finish([&] { return stream->Finish(); }), "status of the scheduler");
    if (!wanted) return absl::OkStatus();
    if (calls_.cancelled()) return absl::CancelledError("watching the scheduler was cancelled");
    return status.ok() || absl::IsCancelled(status)
               ? absl::UnavailableError("the scheduler ended its status stream")
               : status;
  }

  absl::Status Pause(const std::string& reason, absl::Duration deadline) override {
    const rpc::Call call(calls_, deadline);
    v1::PauseRequest request;
    request.set_reason(reason);
    v1::PauseReply reply;
    return rpc::FromGrpc(stub_->Pause(call.context(), request, &reply), "pausing the run");
  }

  absl::Status Resume(bool keep_pause, absl::Duration deadline) override {
    const rpc::Call call(calls_, deadline);
    v1::ResumeRequest request;
    request.set_keep_pause(keep_pause);
    v1::ResumeReply reply;
    return rpc::FromGrpc(stub_->Resume(call.context(), request, &reply), "resuming the run");
  }

  absl::StatusOr<uint32_t> Drain(absl::Duration grace) override {
    const rpc::Call call(calls_, grace + kDrainMargin);
    v1::DrainRequest request;
    request.set_grace_seconds(absl::ToDoubleSeconds(grace));
    v1::DrainReply reply;
    ATTNRL_RETURN_IF_ERROR(
        rpc::FromGrpc(stub_->Drain(call.context(), request, &reply), "draining the run"));
    return reply.returned_leases();
  }

  void Cancel() override { calls_.Cancel(); }

 private:
  const std::unique_ptr<v1::BranchScheduler::Stub> stub_;
  rpc::CallGroup calls_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Admin>> ConnectAdmin(const std::string& address,
                                                    const rpc::Security& security) {
  ATTNRL_ASSIGN_OR_RETURN(
      std::shared_ptr<grpc::Channel> channel,
      rpc::Connect(address, {.security = security, .peer = rpc::Role::kBranchScheduler}));
  return std::make_unique<StubAdmin>(std::move(channel));
}

}  // namespace attnrl::scheduler
