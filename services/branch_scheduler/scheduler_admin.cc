// SPDX-License-Identifier: Apache-2.0
// Scheduler: what people and tools ask, and what a run that doesn't go on waits for.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/scheduler.h"

namespace attnrl::scheduler {

RunStatus Scheduler::Status() const {
  absl::MutexLock lock(&mutex_);
  RunStatus status;
  if (run_->finished()) {
    status.state = RunState::kFinished;
  } else if (halt_.draining) {
    status.state = RunState::kDraining;
  } else if (!PauseReason().empty()) {
    status.state = RunState::kPaused;
  } else {
    status.state = run_->started() ? RunState::kRunning : RunState::kStarting;
  }
  status.reason = failure_.ok() ? Obstacle() : failure_.ToString();
  status.steps_done = run_->committed();
  status.steps_total = options_.steps;
  status.newest_version = run_->newest_version().value_or(Version{});
  status.open_items = static_cast<uint32_t>(leases_->open_items());
  status.active_leases = static_cast<uint32_t>(leases_->active_leases());
  status.workers = leases_->Workers(clock_.Monotonic());
  for (WorkerStatus& worker : status.workers) {
    auto work = work_.find(worker.worker);
    if (work == work_.end()) continue;
    worker.results = work->second.results;
    worker.generated_tokens = work->second.generated_tokens;
  }
  status.batches = run_->Batches();
  status.last_metrics_json = run_->last_metrics();
  status.epoch = run_->epoch();
  for (Wait& wait : Waits(status.batches)) status.waits.push_back(std::move(wait.text));
  return status;
}

uint64_t Scheduler::AwaitChange(uint64_t seen, absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  auto changed = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return changes_ != seen; };
  mutex_.AwaitWithTimeout(absl::Condition(&changed), timeout);
  return changes_;
}

uint32_t Scheduler::EmptyInARow() const {
  return std::min(run_->empty_in_a_row(), run_->committed() - halt_.resumed_at);
}

std::string Scheduler::PauseReason() const {
  if (!halt_.pause.empty()) return halt_.pause;
  if (EmptyInARow() < options_.max_empty_batches || run_->finished()) return "";
  return absl::StrCat(options_.max_empty_batches,
                      " batches in a row had no sample with an advantage (run.max_empty_batches)");
}

void Scheduler::WarnIfPaused() const {
  const std::string reason = PauseReason();
  if (!reason.empty()) observe::LogWarning("run paused", {{"reason", reason}});
}

absl::Status Scheduler::SetHalt(const Halt& halt) {
  ATTNRL_RETURN_IF_ERROR(InTransaction([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_) {
    return StoreHalt(halt, *store_);
  }));
  halt_ = halt;
  HandOut();
  Changed();
  return absl::OkStatus();
}

absl::Status Scheduler::Pause(const std::string& reason) {
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  Halt halt = halt_;
  halt.pause = reason.empty() ? "by request" : OneLine(reason);
  ATTNRL_RETURN_IF_ERROR(SetHalt(halt));
  observe::LogInfo("run paused", {{"reason", halt.pause}});
  return absl::OkStatus();
}

absl::Status Scheduler::Resume(bool keep_pause) {
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  Halt halt{.resumed_at = run_->committed()};
  if (keep_pause) {
    halt.pause = halt_.pause;
    halt.resumed_at = halt_.resumed_at;
  }
  ATTNRL_RETURN_IF_ERROR(SetHalt(halt));
  observe::LogInfo("run resumed");
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> Scheduler::Drain(absl::Duration grace) {
  uint32_t leased = 0;
  {
    absl::MutexLock writer(&writer_mutex_);
    absl::MutexLock lock(&mutex_);
    Halt halt = halt_;
    halt.draining = true;
    ATTNRL_RETURN_IF_ERROR(SetHalt(halt));
    leased = static_cast<uint32_t>(leases_->active_leases());
    observe::LogInfo("draining", {{"leases", leased}});
  }
  {
    absl::MutexLock lock(&mutex_);
    auto done = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return leases_->active_leases() == 0 || !failure_.ok() || !halt_.draining;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&done), grace);
  }
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  ATTNRL_RETURN_IF_ERROR(Alive());
  if (!halt_.draining) return absl::AbortedError("the run was resumed while it drained");
  for (const LeaseTable::Granted& taken : leases_->RevokeAll()) {
    PushTo(taken.worker, Cancel{{taken.lease}});
  }
  EndSessions(absl::UnavailableError("the scheduler has drained"));
  Changed();
  return leased;
}

std::vector<Scheduler::Wait> Scheduler::Waits(const std::vector<BatchStatus>& batches) const {
  std::vector<Wait> waits;
  if (run_->finished()) return waits;
  if (!run_->started()) {
    waits.push_back({"learner", "the learner's first request"});
    return waits;
  }
  if (const auto oldest = leases_->oldest(clock_.Monotonic())) {
    const ItemKey key = KeyOfItem(oldest->item);
    waits.push_back(
        {absl::StrCat("lease ", Number(oldest->lease)),
         absl::StrCat(
             "batch ", key.batch, ", problem ", OneLine(run_->ProblemId(oldest->item)),
             " at position ", key.position, ": ",
             key.kind == ItemKind::kInitial ? "response " : "the continuations of response ",
             key.response, ", with ", oldest->worker, " for ", absl::ToInt64Seconds(oldest->age),
             " s, ", oldest->tokens, " tokens so far")});
  }
  // A run that drains hands nothing out any more.
  if (const size_t ready = leases_->ready_items(); ready > 0 && !halt_.draining) {
    waits.push_back(PauseReason().empty()
                        ? Wait{"room", absl::StrCat("room at a worker, for ", ready, " items")}
                        : Wait{"pause", absl::StrCat("the end of the pause, with ", ready,
                                                     " items to hand out")});
  }
  if (const size_t ungraded = grading_->waiting(); ungraded > 0) {
    waits.push_back({"verifier", absl::StrCat("the verifier, with ", ungraded, " items to grade")});
  }
  for (const BatchStatus& batch : batches) {
    if (batch.phase == "ready" || batch.phase == "training") {
      waits.push_back({absl::StrCat("learner ", batch.batch, batch.phase),
                       absl::StrCat("the learner, with batch ", batch.batch, " ", batch.phase)});
      break;
    }
  }
  return waits;
}

void Scheduler::SayIfStalled(absl::Duration now) {
  const auto quiet = stall_.Quiet(now, store_->commits() + leases_->counters().tokens);
  if (!quiet || run_->finished() || halt_.draining || !PauseReason().empty()) return;
  const std::string obstacle = Obstacle();
  std::string reason = obstacle;
  std::vector<std::string> texts;
  for (const Wait& wait : Waits(run_->Batches())) {
    absl::StrAppend(&reason, ";", wait.what);
    texts.push_back(wait.text);
  }
  if (!stall_.Due(now, reason)) return;
  observe::LogWarning("nothing has moved", {{"seconds", absl::ToInt64Seconds(*quiet)},
                                            {"waits_for", absl::StrJoin(texts, "; ")},
                                            {"obstacle", obstacle}});
}

std::string Scheduler::Obstacle() const {
  std::vector<std::string> all;
  if (run_->finished()) return "";
  if (const std::string reason = PauseReason(); !reason.empty()) {
    all.push_back("paused: " + reason);
  }
  if (halt_.draining) all.emplace_back("draining");
  if (sessions_.empty()) all.emplace_back("no worker is connected");
  for (const WorkerStatus& worker : leases_->Workers(clock_.Monotonic())) {
    if (worker.parked.empty()) continue;
    all.push_back(absl::StrCat("worker ", worker.worker, " is parked: ", worker.parked));
  }
  const std::string trouble = grading_->trouble();
  if (!trouble.empty()) all.push_back("the verifier doesn't answer: " + OneLine(trouble));
  return absl::StrJoin(all, "; ");
}

}  // namespace attnrl::scheduler
