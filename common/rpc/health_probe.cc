// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/health_probe.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/synchronization/notification.h"
#include "common/rpc/channel.h"

namespace attnrl::rpc {
namespace {

constexpr char kMethod[] = "/grpc.health.v1.Health/Check";

// Whoever sent the status, it wasn't this process's own library.
bool IsAnswer(grpc::StatusCode code) {
  return code != grpc::StatusCode::UNAVAILABLE && code != grpc::StatusCode::DEADLINE_EXCEEDED &&
         code != grpc::StatusCode::CANCELLED;
}

}  // namespace

struct HealthProbe::Question {
  std::unique_ptr<grpc::ClientContext> context;
  grpc::ByteBuffer request, reply;
  bool answered = false;  // once it is over
  absl::Notification over;
};

HealthProbe::HealthProbe(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

// The channel must not end on the thread of gRPC that a question ends on.
HealthProbe::~HealthProbe() {
  if (!question_) return;
  question_->context->TryCancel();
  question_->over.WaitForNotification();
}

bool HealthProbe::Answered(absl::Duration deadline) {
  if (question_ && !question_->over.HasBeenNotified()) return false;
  const bool answered = question_ && question_->answered;
  question_ = std::make_unique<Question>();
  question_->context = MakeContext(deadline);
  // HealthCheckRequest without a service: the whole server. Its bytes are none.
  const grpc::Slice nothing;
  question_->request = grpc::ByteBuffer(&nothing, 1);
  grpc::GenericStub(channel_).UnaryCall(question_->context.get(), kMethod, {}, &question_->request,
                                        &question_->reply,
                                        [question = question_.get()](const grpc::Status& status) {
                                          question->answered = IsAnswer(status.error_code());
                                          question->over.Notify();
                                        });
  return answered;
}

}  // namespace attnrl::rpc
