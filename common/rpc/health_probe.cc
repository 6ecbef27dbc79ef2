// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/health_probe.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <utility>

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
  enum State { kOpen, kAnswered, kUnanswered };
  std::atomic<State> state = kOpen;
};

HealthProbe::HealthProbe(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

HealthProbe::~HealthProbe() {
  if (question_) question_->context->TryCancel();
}

bool HealthProbe::Answered(absl::Duration deadline) {
  if (question_ && question_->state == Question::kOpen) return false;
  const bool answered = question_ && question_->state == Question::kAnswered;
  question_ = std::make_shared<Question>();
  question_->context = MakeContext(deadline);
  // HealthCheckRequest without a service: the whole server. Its bytes are none.
  const grpc::Slice nothing;
  question_->request = grpc::ByteBuffer(&nothing, 1);
  grpc::GenericStub(channel_).UnaryCall(
      question_->context.get(), kMethod, {}, &question_->request, &question_->reply,
      // The question lives as long as its call, whatever becomes of the probe.
      [question = question_](const grpc::Status& status) {
        question->state =
            IsAnswer(status.error_code()) ? Question::kAnswered : Question::kUnanswered;
      });
  return answered;
}

}  // namespace attnrl::rpc
