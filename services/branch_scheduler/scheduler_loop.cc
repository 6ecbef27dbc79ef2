// SPDX-License-Identifier: Apache-2.0
// Scheduler: what its loop thread does, and what every entry point shares.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "services/branch_scheduler/scheduler.h"

namespace attnrl::scheduler {
namespace {

// Between two rounds without results: how late an expired lease may be noticed.
constexpr absl::Duration kTick = absl::Milliseconds(200);
// Between two looks through all leases.
constexpr absl::Duration kLookThrough = absl::Milliseconds(100);
// A round that comes so much later than it should, as a part of a lease, says that this process
// stood still. Shorter delays, like those of a slow disk, cost no lease: a round ends only what was
// not renewed by what had been sent before it.
constexpr double kLongestGap = 0.25;

}  // namespace

void Scheduler::Loop() {
  for (;;) {
    {
      absl::MutexLock lock(&inbox_mutex_);
      auto something = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stop_ || !inbox_.empty(); };
      inbox_mutex_.AwaitWithTimeout(absl::Condition(&something), kTick);
      if (stop_) return;
    }
    Round();
  }
}

void Scheduler::Round() {
  // Stopped and continued, say, or waiting for a disk: what workers sent meanwhile may still be on
  // its way here.
  const absl::Duration now = clock_.Monotonic();
  if (due_ && now - *due_ > kLongestGap * options_.lease) ForgivePause(now - *due_);
  due_ = now + kTick;
  Step();
}

void Scheduler::LeaseAhead() {
  for (;;) {
    std::vector<Sent> sent;
    {
      absl::MutexLock lock(&inbox_mutex_);
      auto something = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stop_ || !sent_.empty(); };
      inbox_mutex_.AwaitWithTimeout(absl::Condition(&something), kTick);
      if (stop_) return;
      sent.swap(sent_);
    }
    absl::MutexLock lock(&mutex_);
    if (sent.empty() || !failure_.ok()) continue;
    for (const Sent& each : sent) {
      if (IsCurrent(each.session)) leases_->NoteSent(each.session->worker(), each.lease);
    }
    Grant();
  }
}

void Scheduler::ForgivePause(absl::Duration pause) {
  absl::MutexLock lock(&mutex_);
  leases_->Extend(pause);
  learner_heard_ += pause;
  hand_out_from_ += pause;
  observe::LogWarning("the scheduler stood still; leases last so much longer",
                      {{"seconds", absl::ToDoubleSeconds(pause)}});
}

void Scheduler::Step() {
  absl::MutexLock writer(&writer_mutex_);
  if (!failure().ok()) return;
  const absl::Status owned = store_->KeepAlive();
  // All that workers have sent until now is dealt with below, before a lease of theirs can expire.
  const absl::Duration heard = clock_.Monotonic();
  Inbox inbox;
  {
    // Taken under its own lock: streams go on delivering during the commit below.
    absl::MutexLock lock(&inbox_mutex_);
    inbox = std::exchange(inbox_, Inbox{});
  }
  absl::MutexLock lock(&mutex_);
  if (!owned.ok()) return Fail(owned);
  if (!inbox.empty()) {
    Process(std::move(inbox));
    Changed();
  }
  if (heard - expired_at_ >= kLookThrough) ExpireLeases(heard);
  HandOut();
  SayIfStalled(clock_.Monotonic());
}

void Scheduler::Process(Inbox inbox) {
  std::vector<Reply> replies;
  const auto apply = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_) -> absl::Status {
    for (Arrival& arrival : inbox.arrivals) {
      ATTNRL_RETURN_IF_ERROR(Apply(arrival, &replies));
      GiveWay();
    }
    for (const GradedItem& graded : inbox.grades) {
      ATTNRL_RETURN_IF_ERROR(run_->AddGrades(graded));
    }
    return absl::OkStatus();
  };
  // Renewals alone are no reason to sync a disk.
  const absl::Status status = inbox.durable() ? InTransaction(apply) : apply();
  // Only what is committed is acknowledged, because a worker drops its copy then. A kill before the
  // acknowledgement costs a duplicate, which is recognised; one after it costs nothing.
  if (!status.ok()) return;
  for (Reply& reply : replies) {
    if (auto* message = std::get_if<SchedulerMessage>(&reply.what)) {
      reply.session->Push(std::move(*message));
    } else {
      reply.session->End(std::get<absl::Status>(reply.what));
    }
  }
  ParkFailed();
}

void Scheduler::ParkFailed() {
  for (const auto& failed : std::exchange(to_park_, {})) {
    const ItemId item = failed.first;
    const std::string& reason = failed.second;
    leases_->Close(item);
    const absl::Status status =
        InTransaction([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_) -> absl::Status {
          return run_->Park(item, reason);
        });
    if (!status.ok()) return Fail(status);
    observe::LogError(
        "an item is parked and its problem dropped",
        {{"item", Number(item)}, {"failures", kMaxFailures}, {"reason", OneLine(reason)}});
  }
}

// Before leases are granted, so that an item whose holder is lost goes out in the same round.
void Scheduler::ExpireLeases(absl::Duration heard) {
  expired_at_ = heard;
  for (const LeaseTable::Granted& expired : leases_->Expire(heard)) {
    PushTo(expired.worker, Cancel{{expired.lease}});
    observe::LogWarning("lease expired",
                        {{"worker", expired.worker}, {"item", Number(expired.item)}});
    Changed();
  }
}

void Scheduler::HandOut() {
  for (const Run::Runnable& runnable : run_->TakeRunnable()) {
    leases_->Open(runnable.version, runnable.item, runnable.size);
  }
  if (std::vector<GradeTask> tasks = run_->TakeGradeTasks(); !tasks.empty()) {
    grading_->Add(std::move(tasks));
  }
  const absl::Duration now = clock_.Monotonic();
  // New weights are named before the first lease under them: fetching overlaps with older work.
  const std::optional<Version> newest = run_->newest_version();
  if (newest.has_value() && prefetched_ != newest->number) {
    prefetched_ = newest->number;
    for (const auto& [name, session] : sessions_) session->Push(Prefetch{*newest});
  }
  Grant();
  instruments_.Update(*leases_, *run_, now);
}

void Scheduler::Grant() {
  const absl::Duration now = clock_.Monotonic();
  if (!PauseReason().empty() || halt_.draining || now < hand_out_from_) return;
  for (const LeaseTable::Granted& granted : leases_->Grant(now)) {
    PushTo(granted.worker, Lease{granted.lease, run_->MakeItem(granted.item),
                                 absl::ToDoubleSeconds(granted.limit)});
  }
}

void Scheduler::GiveWay() {
  mutex_.Unlock();
  mutex_.Lock();
}

void Scheduler::PushTo(const std::string& worker, SchedulerMessage message) {
  auto session = sessions_.find(worker);
  if (session != sessions_.end()) session->second->Push(std::move(message));
}

absl::Status Scheduler::InTransaction(const std::function<absl::Status()>& work) {
  ATTNRL_RETURN_IF_ERROR(Alive());
  const absl::Duration begun = clock_.Monotonic();
  absl::Status status = store_->Begin();
  if (status.ok()) {
    status = work();
    if (IsCallersFault(status)) {
      store_->Rollback();
      return status;
    }
  }
  if (status.ok()) {
    const absl::Duration start = clock_.Monotonic();
    mutex_.Unlock();
    status = store_->Commit();
    mutex_.Lock();
    Instruments::Commit(clock_.Monotonic() - start,
                        options_.store.is_file() ? options_.run_dir : options_.records);
  }
  // What the learner said meanwhile may wait for the lock that was held here.
  if (const absl::Duration now = clock_.Monotonic(); now - begun > kLearnerSilence / 3) {
    learner_heard_ = now;
  }
  // Files follow the database: a line is appended once it is durable, and a kill in between is made
  // up for at the next start (Journal::Reconcile).
  if (status.ok()) status = journal_->Flush();
  if (!status.ok()) Fail(status);
  return Alive();
}

bool Scheduler::IsCallersFault(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
         absl::IsOutOfRange(status);
}

absl::Status Scheduler::Alive() const {
  if (failure_.ok()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the scheduler is stopping: ", failure_.ToString()));
}

void Scheduler::Fail(const absl::Status& status) {
  if (!failure_.ok()) return;
  store_->Rollback();
  failure_ = status;
  // On stderr the process says it when it ends.
  observe::LogErrorInFile("the scheduler can't go on", {{"reason", status.ToString()}});
  EndSessions(Alive());
  Changed();
}

void Scheduler::EndSessions(const absl::Status& status) {
  for (const auto& [name, session] : sessions_) session->End(status);
}

}  // namespace attnrl::scheduler
