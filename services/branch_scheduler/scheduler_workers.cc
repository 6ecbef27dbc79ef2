// SPDX-License-Identifier: Apache-2.0
// Scheduler: what workers send, from their streams to the loop's inbox and from there into the run.
#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "services/branch_scheduler/scheduler.h"

namespace attnrl::scheduler {

absl::StatusOr<std::shared_ptr<WorkerSession>> Scheduler::Connect(const Register& hello) {
  ATTNRL_RETURN_IF_ERROR(CheckMessage(hello));
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  ATTNRL_RETURN_IF_ERROR(Alive());
  // One that comes back with what it was working on may still end it.
  if (halt_.draining && !leases_->HoldsAny(hello)) {
    return absl::UnavailableError("the scheduler is draining");
  }
  const uint64_t connection = next_connection_++;
  ATTNRL_ASSIGN_OR_RETURN(std::vector<LeaseId> adopted,
                          leases_->Connect(connection, hello, clock_.Monotonic()));
  if (options_.deterministic && run_->numerics_id() != leases_->numerics_id()) {
    ATTNRL_RETURN_IF_ERROR(
        InTransaction([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_) {
          return run_->SetNumericsId(leases_->numerics_id());
        }));
  }
  if (expected_.erase(hello.worker) > 0 && expected_.empty()) hand_out_from_ = clock_.Monotonic();
  auto session = std::make_shared<WorkerSession>(hello.worker, connection);
  if (auto before = sessions_.find(hello.worker); before != sessions_.end()) {
    // A worker closes its own stream before it opens the next one and never hears this.
    before->second->End(absl::FailedPreconditionError(absl::StrCat(
        "another worker has registered as ", hello.worker, "; every worker needs its own name")));
  }
  sessions_[hello.worker] = session;
  session->Push(Registered{run_->epoch(), adopted, absl::ToDoubleSeconds(options_.lease)});
  if (const auto newest = run_->newest_version()) session->Push(Prefetch{*newest});
  observe::LogInfo("worker connected", {{"worker", hello.worker},
                                        {"capacity", hello.capacity},
                                        {"held", hello.held.size()},
                                        {"adopted", adopted.size()}});
  HandOut();
  Changed();
  return session;
}

// ---- into the inbox

absl::Status Scheduler::Receive(const std::shared_ptr<WorkerSession>& session,
                                WorkerMessage&& message) {
  if (std::holds_alternative<Register>(message)) {
    return absl::InvalidArgumentError("register: allowed only as the first message of a stream");
  }
  ATTNRL_RETURN_IF_ERROR(CheckMessage(message));
  const size_t bytes = MemoryOf(message);
  absl::MutexLock lock(&inbox_mutex_);
  if (inbox_.arrivals.size() >= kMaxInbox) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kMaxInbox, " messages are waiting to be written; send this one again later"));
  }
  // One always has room, however large it is.
  if (inbox_.bytes > 0 && inbox_.bytes + bytes > kMaxInboxBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("messages of ", inbox_.bytes, " bytes are waiting to be written, of the ",
                     kMaxInboxBytes, " that may wait; send this one again later"));
  }
  inbox_.bytes += bytes;
  if (const auto* result = std::get_if<ItemResult>(&message); result != nullptr && parts_.threads) {
    sent_.push_back({session, result->lease});
  }
  inbox_.arrivals.push_back({session, std::move(message)});
  return absl::OkStatus();
}

void Scheduler::Leave(const std::shared_ptr<WorkerSession>& session) {
  absl::MutexLock lock(&inbox_mutex_);
  inbox_.arrivals.push_back({session, Hangup{.orderly = true}});
}

void Scheduler::Disconnect(const std::shared_ptr<WorkerSession>& session) {
  absl::MutexLock lock(&inbox_mutex_);
  inbox_.arrivals.push_back({session, Hangup{}});
}

bool Scheduler::Inbox::durable() const {
  return !grades.empty() || std::any_of(arrivals.begin(), arrivals.end(), [](const Arrival& each) {
    const auto* message = std::get_if<WorkerMessage>(&each.what);
    return message != nullptr && std::holds_alternative<ItemResult>(*message);
  });
}

// ---- out of it

absl::Status Scheduler::Apply(Arrival& arrival, std::vector<Reply>* replies) {
  const std::shared_ptr<WorkerSession>& session = arrival.session;
  if (const auto* hangup = std::get_if<Hangup>(&arrival.what)) {
    Apply(session, *hangup, replies);
    return absl::OkStatus();
  }
  leases_->NoteSeen(session->worker(), clock_.Monotonic());
  const auto& message = std::get<WorkerMessage>(arrival.what);
  if (const auto* result = std::get_if<ItemResult>(&message)) {
    auto ack = ApplyResult(*session, *result);
    // A result that isn't stored isn't answered, whoever is at fault: only ApplyResult's own checks
    // make an Ack. What the store says stays what it is: by its code the process ends.
    if (!ack.ok()) {
      return IsCallersFault(ack.status()) ? absl::InternalError(ack.status().ToString())
                                          : ack.status();
    }
    const std::string refusal = ack->verdict == AckVerdict::kInvalid ? ack->reason : "";
    replies->push_back({session, SchedulerMessage(*std::move(ack))});
    if (!refusal.empty()) replies->push_back({session, absl::InvalidArgumentError(refusal)});
    return absl::OkStatus();
  }
  if (!IsCurrent(session)) return absl::OkStatus();
  if (const auto* renew = std::get_if<Renew>(&message)) {
    std::vector<LeaseId> lost =
        leases_->Renew(session->worker(), renew->leases, clock_.Monotonic(), renew->tokens);
    if (!lost.empty()) replies->push_back({session, SchedulerMessage(Cancel{std::move(lost)})});
  } else if (const auto* back = std::get_if<GiveBack>(&message)) {
    Apply(*session, *back);
  } else if (const auto* credits = std::get_if<Credits>(&message)) {
    leases_->SetCredits(session->worker(), credits->outstanding);
  }
  return absl::OkStatus();
}

void Scheduler::Apply(const WorkerSession& session, const GiveBack& back) {
  const std::string& worker = session.worker();
  if (back.failed) {
    for (const LeaseId lease : back.leases) {
      if (const auto item = leases_->ItemOf(lease)) {
        NoteFailure(worker, lease, *item, absl::StrCat("worker ", worker, ": ", back.reason));
      }
    }
  }
  const size_t returned = leases_->GiveBack(worker, back.leases, back.late);
  observe::LogInfo("work given back",
                   {{"worker", worker}, {"leases", returned}, {"reason", OneLine(back.reason)}});
}

void Scheduler::Apply(const std::shared_ptr<WorkerSession>& session, Hangup hangup,
                      std::vector<Reply>* replies) {
  if (hangup.orderly && IsCurrent(session)) {
    if (const size_t returned = leases_->Leave(session->worker()); returned > 0) {
      observe::LogInfo(
          "work given back",
          {{"worker", session->worker()}, {"leases", returned}, {"reason", "the worker has left"}});
    }
  }
  leases_->Disconnect(session->connection(), clock_.Monotonic());
  if (IsCurrent(session)) {
    sessions_.erase(session->worker());
    observe::LogInfo("worker disconnected", {{"worker", session->worker()}});
  }
  replies->push_back({session, hangup.orderly ? absl::OkStatus()
                                              : absl::UnavailableError("the stream has ended")});
}

bool Scheduler::IsCurrent(const std::shared_ptr<WorkerSession>& session) const {
  const auto current = sessions_.find(session->worker());
  return current != sessions_.end() && current->second == session;
}

void Scheduler::NoteFailure(const std::string& worker, LeaseId lease, ItemId item,
                            const std::string& reason) {
  const size_t failures = leases_->Fail(worker, lease);
  if (failures == 0) return;
  observe::LogError("a worker failed an item", {{"worker", worker},
                                                {"item", Number(item)},
                                                {"failures", failures},
                                                {"reason", OneLine(reason)}});
  if (failures >= kMaxFailures) to_park_.emplace_back(item, reason);
}

absl::StatusOr<Ack> Scheduler::ApplyResult(const WorkerSession& session, const ItemResult& result) {
  const std::string& worker = session.worker();
  Ack ack;
  ack.lease = result.lease;
  // A durable result ends its lease, so only one without is asked for in the database: it is
  // acknowledged though its lease has ended.
  if (leases_->ItemOf(result.lease) != result.item) {
    ATTNRL_ASSIGN_OR_RETURN(std::optional<LeaseId> stored, run_->LeaseOfResult(result.item));
    if (stored == result.lease) {  // durable by an earlier copy
      leases_->NoteDuplicate();
      return ack;
    }
  }
  if (!leases_->Holds(worker, result.lease, result.item)) {
    ack.verdict = AckVerdict::kFenced;
    ack.reason = absl::StrCat("lease ", Number(result.lease), " of item ", Number(result.item),
                              " is no longer worker ", worker, "'s");
    observe::LogWarning("late write refused",
                        {{"worker", worker}, {"lease", Number(result.lease)}});
    return ack;
  }
  const absl::StatusOr<AdmittedResult> admitted = run_->Admit(result);
  if (!admitted.ok()) {
    ack.verdict = AckVerdict::kInvalid;
    ack.reason = absl::StrCat("worker ", worker, ": ", admitted.status().message());
    NoteFailure(worker, result.lease, result.item, ack.reason);
    // Whatever else it has sampled is no better.
    leases_->Refuse(worker);
    return ack;
  }
  // The lease may go before the commit: where that fails, so does the whole scheduler.
  ATTNRL_RETURN_IF_ERROR(run_->AddResult(worker, *admitted));
  leases_->Close(result.item);
  if (work_.size() > kMaxKnownWorkers) {
    std::erase_if(work_, [this](const auto& entry) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return !sessions_.contains(entry.first);
    });
  }
  Work& work = work_[worker];
  ++work.results;
  for (const SampleResult& sample : result.samples) {
    work.generated_tokens += sample.token_ids.size();
  }
  return ack;
}

}  // namespace attnrl::scheduler
