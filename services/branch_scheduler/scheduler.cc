// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "services/branch_scheduler/records/nothing_right.h"
#include "services/branch_scheduler/records/records.h"

namespace attnrl::scheduler {

Scheduler::Scheduler(Parts parts)
    : parts_(std::move(parts)), options_(parts_.options), clock_(*parts_.clock) {}

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Start(Parts parts) {
  auto scheduler = std::unique_ptr<Scheduler>(new Scheduler(std::move(parts)));
  ATTNRL_RETURN_IF_ERROR(scheduler->Open());
  if (scheduler->parts_.threads) {
    scheduler->loop_ = std::thread([raw = scheduler.get()] { raw->Loop(); });
  }
  return scheduler;
}

Scheduler::~Scheduler() {
  if (grading_) grading_->Stop();  // its threads may wait for a verifier that is away
  {
    absl::MutexLock lock(&inbox_mutex_);
    stop_ = true;
  }
  if (loop_.joinable()) loop_.join();
  grading_.reset();
  absl::MutexLock lock(&mutex_);
  EndSessions(absl::UnavailableError("the scheduler is stopping"));
}

// ---- the learner

absl::Status Scheduler::Announce(const BatchRequest& request) {
  absl::MutexLock lock(&mutex_);
  ATTNRL_RETURN_IF_ERROR(InTransaction(
      [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return run_->Announce(request); }));
  HandOut();
  Changed();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TrainingBatch>> Scheduler::AwaitBatch(uint32_t batch,
                                                                   absl::Duration timeout,
                                                                   std::string* reason) {
  const absl::Duration until = Clock::Real().Monotonic() + timeout;
  absl::MutexLock lock(&mutex_);
  for (;;) {
    ATTNRL_RETURN_IF_ERROR(Alive());
    const uint64_t seen = changes_;
    auto made = run_->Batch(batch, reason);
    if (!made.ok() || made->has_value()) return made;
    auto changed = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return changes_ != seen; };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&changed), until - Clock::Real().Monotonic())) {
      const std::string obstacle = Obstacle();
      if (!obstacle.empty()) absl::StrAppend(reason, "; ", obstacle);
      return std::optional<TrainingBatch>();
    }
  }
}

absl::Status Scheduler::WriteTrees(uint32_t batch) {
  std::optional<Run::Trees> trees;
  {
    absl::MutexLock lock(&mutex_);
    ATTNRL_RETURN_IF_ERROR(Alive());
    trees = run_->TreesToWrite(batch);
  }
  if (!trees) return absl::OkStatus();
  // Without the lock: the file may have hundreds of megabytes, and nothing else waits for it.
  const absl::Status written = WriteTreeFile(options_, *parts_.data, trees->batch, trees->versions);
  if (written.ok()) return absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  Fail(written);
  return Alive();
}

absl::StatusOr<CommitReply> Scheduler::Commit(const BatchCommit& commit) {
  ATTNRL_RETURN_IF_ERROR(CheckStatistics(commit.statistics));
  ATTNRL_RETURN_IF_ERROR(WriteTrees(commit.batch));
  absl::MutexLock lock(&mutex_);
  CommitReply reply;
  const uint32_t before = run_->committed();
  ATTNRL_RETURN_IF_ERROR(InTransaction([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::Status {
    ATTNRL_ASSIGN_OR_RETURN(reply, run_->Commit(commit));
    return absl::OkStatus();
  }));
  if (run_->committed() > before) {
    if (absl::Status status = journal_->Settle(); !status.ok()) {
      Fail(status);
      return Alive();
    }
    observe::LogInfo("batch trained", {{"batch", commit.batch},
                                       {"version", commit.version.number},
                                       {"replayed", commit.replayed}});
    WarnIfNothingIsRight();
    PauseIfEmpty();
  }
  HandOut();
  Changed();
  return reply;
}

// ---- people and tools

// By the process that commits the last of the first batches, so once in a run.
void Scheduler::WarnIfNothingIsRight() {
  if (run_->committed() != kFirstBatches) return;
  if (const auto words = run_->NothingRight()) observe::LogWarning(*words);
}

void Scheduler::PauseIfEmpty() {
  if (run_->empty_in_a_row() < options_.max_empty_batches || paused_ || run_->finished()) return;
  paused_ = true;
  pause_reason_ = absl::StrCat(run_->empty_in_a_row(),
                               " batches in a row had no sample with an advantage "
                               "(run.max_empty_batches)");
  observe::LogWarning("run paused", {{"reason", pause_reason_}});
}

RunStatus Scheduler::Status() const {
  absl::MutexLock lock(&mutex_);
  RunStatus status;
  if (run_->finished()) {
    status.state = RunState::kFinished;
  } else if (draining_) {
    status.state = RunState::kDraining;
  } else if (paused_) {
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
  status.workers = leases_->Workers();
  for (WorkerStatus& worker : status.workers) {
    auto work = work_.find(worker.worker);
    if (work == work_.end()) continue;
    worker.results = work->second.results;
    worker.generated_tokens = work->second.generated_tokens;
  }
  status.batches = run_->Batches();
  status.last_metrics_json = run_->last_metrics();
  status.epoch = run_->epoch();
  status.waits = Waits();
  return status;
}

uint64_t Scheduler::AwaitChange(uint64_t seen, absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  auto changed = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return changes_ != seen; };
  mutex_.AwaitWithTimeout(absl::Condition(&changed), timeout);
  return changes_;
}

void Scheduler::Pause(const std::string& reason) {
  absl::MutexLock lock(&mutex_);
  paused_ = true;
  pause_reason_ = reason.empty() ? "paused by request" : OneLine(reason);
  observe::LogInfo("run paused", {{"reason", pause_reason_}});
  Changed();
}

void Scheduler::Resume() {
  absl::MutexLock lock(&mutex_);
  paused_ = draining_ = false;
  pause_reason_.clear();
  observe::LogInfo("run resumed");
  HandOut();
  Changed();
}

absl::StatusOr<uint32_t> Scheduler::Drain(absl::Duration grace) {
  absl::MutexLock lock(&mutex_);
  ATTNRL_RETURN_IF_ERROR(Alive());
  draining_ = true;
  Changed();
  const auto leased = static_cast<uint32_t>(leases_->active_leases());
  observe::LogInfo("draining", {{"leases", leased}});
  auto done = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return leases_->active_leases() == 0 || !failure_.ok() || !draining_;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&done), grace);
  ATTNRL_RETURN_IF_ERROR(Alive());
  if (!draining_) return absl::AbortedError("the run was resumed while it drained");
  for (const LeaseTable::Granted& taken : leases_->RevokeAll()) {
    PushTo(taken.worker, Cancel{{taken.lease}});
  }
  EndSessions(absl::UnavailableError("the scheduler has drained"));
  Changed();
  return leased;
}

absl::Status Scheduler::failure() const {
  absl::MutexLock lock(&mutex_);
  return failure_;
}

void Scheduler::Stop() {
  grading_->Stop();  // a verifier that is away is waited for no longer
  absl::MutexLock lock(&mutex_);
  if (!failure_.ok()) return;
  failure_ = absl::UnavailableError("the scheduler was asked to stop");
  EndSessions(failure_);
  Changed();
}

LeaseTable::Counters Scheduler::lease_counters() const {
  absl::MutexLock lock(&mutex_);
  return leases_->counters();
}

Run::Counters Scheduler::run_counters() const {
  absl::MutexLock lock(&mutex_);
  return run_->counters();
}

uint64_t Scheduler::store_commits() const {
  absl::MutexLock lock(&mutex_);
  return store_->commits();
}

}  // namespace attnrl::scheduler
