// SPDX-License-Identifier: Apache-2.0
// The work stream's part of convert.h.
#include <utility>
#include <variant>

#include "services/branch_scheduler/convert/convert.h"
#include "services/branch_scheduler/convert/parts.h"

namespace attnrl::scheduler {
namespace {

void Write(const SamplingParams& from, v1::SamplingParams* to) {
  to->set_temperature(from.temperature);
  to->set_top_p(from.top_p);
  to->set_top_k(from.top_k);
  to->set_seed(from.seed);
  SetList(from.stop_ids, to->mutable_stop_ids());
}

SamplingParams Read(const v1::SamplingParams& from) {
  SamplingParams to;
  to.temperature = from.temperature();
  to.top_p = from.top_p();
  to.top_k = from.top_k();
  to.seed = from.seed();
  to.stop_ids = GetList(from.stop_ids());
  return to;
}

void Write(const WorkItem& from, v1::WorkItem* to) {
  to->set_item(Number(from.item));
  to->set_kind(from.kind == ItemKind::kInitial ? v1::WorkItem::KIND_INITIAL
                                               : v1::WorkItem::KIND_CONTINUATION);
  to->set_batch(from.batch);
  to->set_position(from.position);
  SetVersion(from.version, to->mutable_version());
  SetList(from.prompt_ids, to->mutable_prompt_ids());
  SetList(from.response_ids, to->mutable_response_ids());
  to->set_parent(from.parent);
  for (const SampleRequest& sample : from.samples) {
    v1::SampleRequest* request = to->add_samples();
    request->set_node(sample.node);
    request->set_split(sample.split);
    request->set_max_new_tokens(sample.max_new_tokens);
  }
  Write(from.sampling, to->mutable_sampling());
  if (from.score_delta) to->mutable_scoring()->set_delta(*from.score_delta);
}

absl::StatusOr<WorkItem> Read(const v1::WorkItem& from) {
  WorkItem to;
  switch (from.kind()) {
    case v1::WorkItem::KIND_INITIAL:
      to.kind = ItemKind::kInitial;
      break;
    case v1::WorkItem::KIND_CONTINUATION:
      to.kind = ItemKind::kContinuation;
      break;
    default:
      return absl::InvalidArgumentError("item.kind: neither initial nor continuation");
  }
  to.item = ItemId{from.item()};
  to.batch = from.batch();
  to.position = from.position();
  to.version = GetVersion(from.version());
  to.prompt_ids = GetList(from.prompt_ids());
  to.response_ids = GetList(from.response_ids());
  to.parent = from.parent();
  for (const v1::SampleRequest& sample : from.samples()) {
    to.samples.push_back(SampleRequest{sample.node(), sample.split(), sample.max_new_tokens()});
  }
  to.sampling = Read(from.sampling());
  if (from.has_scoring()) to.score_delta = from.scoring().delta();
  return to;
}

void SetLeases(const std::vector<LeaseId>& from, google::protobuf::RepeatedField<uint64_t>* to) {
  for (const LeaseId lease : from) to->Add(Number(lease));
}
std::vector<LeaseId> GetLeases(const google::protobuf::RepeatedField<uint64_t>& from) {
  std::vector<LeaseId> leases;
  for (const uint64_t lease : from) leases.push_back(LeaseId{lease});
  return leases;
}

// One overload a kind of message.
struct WorkerWriter {
  v1::WorkerMessage* to;
  void operator()(const Register& from) const {
    v1::Register* hello = to->mutable_register_();
    hello->set_worker(from.worker);
    hello->set_capacity(from.capacity);
    hello->set_numerics_id(from.numerics_id);
    hello->set_credits(from.credits);
    for (const LeaseRef& held : from.held) {
      v1::LeaseRef* ref = hello->add_held();
      ref->set_lease(Number(held.lease));
      ref->set_item(Number(held.item));
    }
  }
  void operator()(const ItemResult& from) const { SetResult(from, to->mutable_result()); }
  void operator()(const Renew& from) const {
    SetLeases(from.leases, to->mutable_renew()->mutable_leases());
    SetList(from.tokens, to->mutable_renew()->mutable_tokens());
  }
  void operator()(const GiveBack& from) const {
    SetLeases(from.leases, to->mutable_give_back()->mutable_leases());
    to->mutable_give_back()->set_reason(from.reason);
    to->mutable_give_back()->set_failed(from.failed);
    to->mutable_give_back()->set_late(from.late);
  }
  void operator()(const Credits& from) const {
    to->mutable_credits()->set_outstanding(from.outstanding);
  }
};

v1::Ack::Verdict WireVerdict(AckVerdict verdict) {
  switch (verdict) {
    case AckVerdict::kAccepted:
      return v1::Ack::VERDICT_ACCEPTED;
    case AckVerdict::kFenced:
      return v1::Ack::VERDICT_FENCED;
    case AckVerdict::kInvalid:
      return v1::Ack::VERDICT_INVALID;
  }
  return v1::Ack::VERDICT_UNSPECIFIED;
}

struct SchedulerWriter {
  v1::SchedulerMessage* to;
  void operator()(const Registered& from) const {
    to->mutable_registered()->set_epoch(from.epoch);
    SetLeases(from.adopted, to->mutable_registered()->mutable_adopted());
    to->mutable_registered()->set_lease_seconds(from.lease_seconds);
  }
  void operator()(const Lease& from) const {
    to->mutable_lease()->set_lease(Number(from.lease));
    Write(from.item, to->mutable_lease()->mutable_item());
    to->mutable_lease()->set_limit_seconds(from.limit_seconds);
  }
  void operator()(const Ack& from) const {
    to->mutable_ack()->set_lease(Number(from.lease));
    to->mutable_ack()->set_verdict(WireVerdict(from.verdict));
    to->mutable_ack()->set_reason(from.reason);
  }
  void operator()(const Cancel& from) const {
    SetLeases(from.leases, to->mutable_cancel()->mutable_leases());
  }
  void operator()(const Prefetch& from) const {
    SetVersion(from.version, to->mutable_prefetch()->mutable_version());
  }
  void operator()(const DrainWorker&) const { to->mutable_drain(); }
};

Register ReadRegister(const v1::Register& from) {
  Register to;
  to.worker = from.worker();
  to.capacity = from.capacity();
  to.numerics_id = from.numerics_id();
  to.credits = from.credits();
  for (const v1::LeaseRef& held : from.held()) {
    to.held.push_back({LeaseId{held.lease()}, ItemId{held.item()}});
  }
  return to;
}

absl::StatusOr<Ack> ReadAck(const v1::Ack& from) {
  switch (from.verdict()) {
    case v1::Ack::VERDICT_ACCEPTED:
      return Ack{LeaseId{from.lease()}, AckVerdict::kAccepted, from.reason()};
    case v1::Ack::VERDICT_FENCED:
      return Ack{LeaseId{from.lease()}, AckVerdict::kFenced, from.reason()};
    case v1::Ack::VERDICT_INVALID:
      return Ack{LeaseId{from.lease()}, AckVerdict::kInvalid, from.reason()};
    default:
      return absl::InvalidArgumentError("ack.verdict: unknown verdict");
  }
}

// A message that is one of several, from a struct or an error.
template <typename Message, typename T>
absl::StatusOr<Message> Either(absl::StatusOr<T> value) {
  if (!value.ok()) return std::move(value).status();
  return Message(*std::move(value));
}

}  // namespace

void ToProto(const WorkerMessage& from, v1::WorkerMessage* to) {
  std::visit(WorkerWriter{to}, from);
}

void ToProto(const SchedulerMessage& from, v1::SchedulerMessage* to) {
  std::visit(SchedulerWriter{to}, from);
}

absl::StatusOr<WorkerMessage> FromProto(const v1::WorkerMessage& from) {
  switch (from.message_case()) {
    case v1::WorkerMessage::kRegister:
      return WorkerMessage(ReadRegister(from.register_()));
    case v1::WorkerMessage::kResult:
      return Either<WorkerMessage>(GetResult(from.result()));
    case v1::WorkerMessage::kRenew:
      return WorkerMessage(Renew{GetLeases(from.renew().leases()), GetList(from.renew().tokens())});
    case v1::WorkerMessage::kGiveBack:
      return WorkerMessage(GiveBack{GetLeases(from.give_back().leases()), from.give_back().reason(),
                                    from.give_back().failed(), from.give_back().late()});
    case v1::WorkerMessage::kCredits:
      return WorkerMessage(Credits{from.credits().outstanding()});
    case v1::WorkerMessage::MESSAGE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("message: of no known kind");
}

absl::StatusOr<SchedulerMessage> FromProto(const v1::SchedulerMessage& from) {
  switch (from.message_case()) {
    case v1::SchedulerMessage::kRegistered:
      return SchedulerMessage(Registered{from.registered().epoch(),
                                         GetLeases(from.registered().adopted()),
                                         from.registered().lease_seconds()});
    case v1::SchedulerMessage::kLease: {
      auto item = Read(from.lease().item());
      if (!item.ok()) return std::move(item).status();
      return SchedulerMessage(
          Lease{LeaseId{from.lease().lease()}, *std::move(item), from.lease().limit_seconds()});
    }
    case v1::SchedulerMessage::kAck:
      return Either<SchedulerMessage>(ReadAck(from.ack()));
    case v1::SchedulerMessage::kCancel:
      return SchedulerMessage(Cancel{GetLeases(from.cancel().leases())});
    case v1::SchedulerMessage::kPrefetch:
      return SchedulerMessage(Prefetch{GetVersion(from.prefetch().version())});
    case v1::SchedulerMessage::kDrain:
      return SchedulerMessage(DrainWorker{});
    case v1::SchedulerMessage::kGoodbye:  // the stream's status, not a message: the client's matter
    case v1::SchedulerMessage::MESSAGE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("message: of no known kind");
}

}  // namespace attnrl::scheduler
