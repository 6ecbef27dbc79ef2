// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/work_reactor.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/rpc/message_shape.h"
#include "common/rpc/status.h"
#include "services/branch_scheduler/convert/convert.h"

namespace attnrl::scheduler {
namespace {

absl::Duration Now() { return Clock::Real().Monotonic(); }

absl::Status WorkerGone() { return absl::CancelledError("Work: the other side is gone"); }

grpc::ByteBuffer Bytes(const v1::SchedulerMessage& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  // Fails only for messages of 2 GiB.
  grpc::SerializationTraits<v1::SchedulerMessage>::Serialize(message, &bytes, &own);
  return bytes;
}

}  // namespace

WorkReactor::WorkReactor(WorkStreams* streams, grpc::CallbackServerContext* context)
    : streams_(*streams),
      context_(*context),
      call_(context, "BranchScheduler/Work", rpc::ServedCall::Kind::kStream),
      opened_(Now()) {}

void WorkReactor::Begin(const absl::Status& admitted) {
  absl::Status status = call_.Admit();
  if (status.ok()) status = admitted;
  if (status.ok()) return ReadNext();
  absl::MutexLock lock(&mutex_);
  read_over_ = true;
  End(status);
}

// ---- from the worker

void WorkReactor::ReadNext() {
  absl::MutexLock lock(&mutex_);
  if (!ended_) StartRead(&incoming_);
}

void WorkReactor::OnReadDone(bool ok) {
  if (ok) return Take();
  absl::MutexLock lock(&mutex_);
  read_over_ = true;
  if (ended_ || context_.IsCancelled()) return;  // OnCancel ends it
  if (session_ == nullptr) return End(WorkerGone());
  // The worker has closed its side: the session ends once all that it sent is dealt with.
  streams_.scheduler_.Leave(session_);
}

void WorkReactor::Take() {
  absl::StatusOr<std::optional<WorkerMessage>> message = Parse();
  if (!message.ok()) return StopReading(message.status());
  if (!message->has_value()) return ReadNext();
  unplaced_ = **std::move(message);
  unplaced_since_ = Now();
  if (session() != nullptr) return HandOn();
  // Registering may wait for a commit, which a thread of gRPC must not.
  streams_.Arrive(shared_from_this());
}

absl::StatusOr<std::optional<WorkerMessage>> WorkReactor::Parse() {
  const size_t bytes = incoming_.Length();
  ATTNRL_RETURN_IF_ERROR(
      rpc::CheckShape(incoming_, *v1::WorkerMessage::descriptor(), streams_.limits_.shape));
  v1::WorkerMessage message;
  const grpc::Status parsed =
      grpc::SerializationTraits<v1::WorkerMessage>::Deserialize(&incoming_, &message);
  if (!parsed.ok()) return absl::InvalidArgumentError("message: can't be parsed");
  if (message.has_result() && (message.result().more() || parts_.has_value())) {
    return AddPart(message.result(), bytes);
  }
  ATTNRL_ASSIGN_OR_RETURN(WorkerMessage plain, FromProto(message));
  return std::optional<WorkerMessage>(std::move(plain));
}

absl::StatusOr<std::optional<WorkerMessage>> WorkReactor::AddPart(const v1::ItemResult& part,
                                                                  size_t bytes) {
  ATTNRL_RETURN_IF_ERROR(TakePartBytes(part_bytes_ + bytes));
  ATTNRL_RETURN_IF_ERROR(scheduler::AddPart(part, &parts_));
  ATTNRL_RETURN_IF_ERROR(TakePartBytes(MemoryOf(*parts_)));  // more than on the wire, maybe
  {
    absl::MutexLock lock(&mutex_);
    part_since_ = part.more() ? std::optional(Now()) : std::nullopt;
  }
  if (part.more()) return std::optional<WorkerMessage>();
  streams_.GivePartBytes(std::exchange(part_bytes_, 0));
  return std::optional<WorkerMessage>(*std::exchange(parts_, std::nullopt));
}

absl::Status WorkReactor::TakePartBytes(size_t needed) {
  if (needed <= part_bytes_) return absl::OkStatus();
  ATTNRL_RETURN_IF_ERROR(streams_.TakePartBytes(needed - part_bytes_));
  part_bytes_ = needed;
  return absl::OkStatus();
}

absl::Status WorkReactor::Register(const WorkerMessage& hello) {
  const auto* wanted = std::get_if<scheduler::Register>(&hello);
  if (wanted == nullptr) {
    return absl::InvalidArgumentError("register: must be the first message of a stream");
  }
  absl::StatusOr<std::shared_ptr<WorkerSession>> session = streams_.scheduler_.Connect(*wanted);
  if (!session.ok()) return session.status();
  {
    absl::MutexLock lock(&mutex_);
    session_ = *session;
    if (ended_) streams_.scheduler_.Disconnect(*session);  // it was cancelled meanwhile
  }
  (*session)->WakeWith([streams = &streams_, self = weak_from_this()] {
    if (const std::shared_ptr<WorkReactor> stream = self.lock()) streams->Wake(stream);
  });
  return absl::OkStatus();
}

void WorkReactor::HandOn() {
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
  }
  const std::shared_ptr<WorkerSession> to = session();
  const absl::Status status =
      to == nullptr ? Register(*unplaced_) : streams_.scheduler_.Receive(to, *std::move(unplaced_));
  if (status.ok()) {
    unplaced_.reset();
    return ReadNext();
  }
  if (to != nullptr && absl::IsResourceExhausted(status) &&
      Now() - unplaced_since_ < streams_.limits_.room_within) {
    return streams_.Stall(shared_from_this());
  }
  StopReading(status);
}

std::shared_ptr<WorkerSession> WorkReactor::session() {
  absl::MutexLock lock(&mutex_);
  return session_;
}

void WorkReactor::StopReading(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (session_ != nullptr) {
    session_->End(status);  // what is waiting is sent before
  } else if (!ended_) {
    End(status);
  }
}

// ---- to the worker

void WorkReactor::Write() {
  absl::MutexLock lock(&mutex_);
  if (writing_ || ended_ || session_ == nullptr) return;
  std::optional<absl::Status> over;
  if (const auto message = session_->Next(&over)) {
    v1::SchedulerMessage wire;
    ToProto(*message, &wire);
    outgoing_ = Bytes(wire);
    writing_ = true;
    StartWrite(&outgoing_);
  } else if (over.has_value()) {
    End(*over);
  }
}

void WorkReactor::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok && !ended_) End(WorkerGone());
  }
  Write();
}

// ---- the end

void WorkReactor::OnCancel() {
  absl::MutexLock lock(&mutex_);
  if (!ended_) End(WorkerGone());
}

void WorkReactor::End(const absl::Status& status) {
  ended_ = true;
  over_since_ = Now();
  status_ = status;
  if (session_ != nullptr) streams_.scheduler_.Disconnect(session_);
  const grpc::Status answer = rpc::ToGrpc(status);
  // A worker that may still send could miss the status; this it can't.
  if (session_ != nullptr && !read_over_ && !writing_ && !context_.IsCancelled()) {
    v1::SchedulerMessage goodbye;
    goodbye.mutable_goodbye()->set_code(static_cast<uint32_t>(status.raw_code()));
    goodbye.mutable_goodbye()->set_reason(std::string(status.message()));
    outgoing_ = Bytes(goodbye);
    return StartWriteAndFinish(&outgoing_, grpc::WriteOptions(), answer);
  }
  Finish(answer);
}

void WorkReactor::LookAfter(absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  if (done_) return;
  if (session_ == nullptr && !ended_ && now - opened_ >= streams_.limits_.register_within) {
    End(absl::DeadlineExceededError(
        absl::StrCat("register: the first message of a work stream has to come within ",
                     absl::FormatDuration(streams_.limits_.register_within))));
  }
  if (part_since_.has_value() && session_ != nullptr && !ended_ &&
      now - *part_since_ >= streams_.limits_.room_within) {
    part_since_.reset();
    session_->End(absl::DeadlineExceededError(
        absl::StrCat("result: the next part has to come within ",
                     absl::FormatDuration(streams_.limits_.room_within))));
  }
  if (session_ != nullptr && !over_since_.has_value() && session_->ended()) over_since_ = now;
  if (over_since_.has_value() && now - *over_since_ >= streams_.limits_.hang_up_within) {
    context_.TryCancel();
  }
}

void WorkReactor::OnDone() {
  std::shared_ptr<WorkerSession> session;
  {
    absl::MutexLock lock(&mutex_);
    session = session_;
    done_ = true;
    call_.End(status_.value_or(WorkerGone()));
  }
  if (session != nullptr) session->WakeWith(nullptr);
  streams_.GivePartBytes(part_bytes_);
  streams_.Remove(shared_from_this());
}

}  // namespace attnrl::scheduler
