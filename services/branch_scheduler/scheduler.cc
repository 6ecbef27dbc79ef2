// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "services/branch_scheduler/records/nothing_right.h"
#include "services/branch_scheduler/records/records.h"
#include "services/branch_scheduler/records/tree_files.h"

namespace attnrl::scheduler {
namespace {

// Between two looks at a batch that isn't ready.
constexpr absl::Duration kLookAgain = absl::Milliseconds(20);

}  // namespace

Scheduler::Scheduler(Parts parts)
    : parts_(std::move(parts)), options_(parts_.options), clock_(*parts_.clock) {}

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Start(Parts parts) {
  auto scheduler = std::unique_ptr<Scheduler>(new Scheduler(std::move(parts)));
  ATTNRL_RETURN_IF_ERROR(scheduler->Open());
  if (scheduler->parts_.threads) {
    scheduler->loop_ = std::thread([raw = scheduler.get()] { raw->Loop(); });
    scheduler->leases_ahead_ = std::thread([raw = scheduler.get()] { raw->LeaseAhead(); });
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
  if (leases_ahead_.joinable()) leases_ahead_.join();
  grading_.reset();
  absl::MutexLock lock(&mutex_);
  EndSessions(absl::UnavailableError("the scheduler is stopping"));
}

// ---- the learner

absl::Status Scheduler::HearLearner(uint64_t epoch) {
  ATTNRL_RETURN_IF_ERROR(learner_.Check(epoch));
  learner_heard_ = clock_.Monotonic();
  return absl::OkStatus();
}

absl::Status Scheduler::LearnerLives(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  ATTNRL_RETURN_IF_ERROR(Alive());
  return HearLearner(epoch);
}

absl::StatusOr<uint64_t> Scheduler::RegisterLearner(const std::string& learner,
                                                    const std::string& place) {
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  ATTNRL_ASSIGN_OR_RETURN(const LearnerFence fence, learner_.With(learner, place));
  const bool heard = clock_.Monotonic() - learner_heard_ < kLearnerSilence;
  if (fence.epoch > learner_.epoch && learner_.IsElsewhere(place) && heard) {
    return absl::UnavailableError(absl::StrCat("the learner ", OneLine(learner_.learner),
                                               " is at work; this one stands by, ",
                                               "and takes over once that one has said nothing for ",
                                               absl::ToInt64Seconds(kLearnerSilence), " s"));
  }
  ATTNRL_RETURN_IF_ERROR(InTransaction([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_) {
    return StoreLearnerFence(fence, *store_);
  }));
  if (fence.epoch > learner_.epoch) {
    observe::LogInfo("learner registered",
                     {{"learner", OneLine(fence.learner)}, {"epoch", fence.epoch}});
  }
  learner_ = fence;
  learner_heard_ = clock_.Monotonic();
  Changed();
  return fence.epoch;
}

absl::Status Scheduler::Announce(const BatchRequest& request) {
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  ATTNRL_RETURN_IF_ERROR(HearLearner(request.learner_epoch));
  ATTNRL_RETURN_IF_ERROR(InTransaction([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_) {
    return run_->Announce(request);
  }));
  HandOut();
  Changed();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TrainingBatch>> Scheduler::AwaitBatch(const BatchRequest& request,
                                                                   absl::Duration timeout,
                                                                   std::string* reason) {
  const absl::Duration until = Clock::Real().Monotonic() + timeout;
  for (;;) {
    uint64_t seen = 0;
    {
      absl::MutexLock writer(&writer_mutex_);  // a batch is of what is durable
      absl::MutexLock lock(&mutex_);
      ATTNRL_RETURN_IF_ERROR(Alive());
      ATTNRL_RETURN_IF_ERROR(HearLearner(request.learner_epoch));
      seen = changes_;
      auto made = run_->Batch(request.batch, reason);
      if (!made.ok() || made->has_value()) return made;
    }
    absl::MutexLock lock(&mutex_);
    auto changed = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return changes_ != seen; };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&changed), until - Clock::Real().Monotonic())) {
      const std::string obstacle = Obstacle();
      if (!obstacle.empty()) absl::StrAppend(reason, "; ", obstacle);
      return std::optional<TrainingBatch>();
    }
    // Every result is a change, and looking at a batch takes as long as it is large.
    Clock::Real().Sleep(kLookAgain);
  }
}

absl::Status Scheduler::WriteTrees(const BatchCommit& commit) {
  std::optional<Run::Trees> trees;
  {
    absl::MutexLock writer(&writer_mutex_);
    absl::MutexLock lock(&mutex_);
    ATTNRL_RETURN_IF_ERROR(Alive());
    ATTNRL_RETURN_IF_ERROR(HearLearner(commit.learner_epoch));
    trees = run_->TreesToWrite(commit.batch);
  }
  if (!trees) return absl::OkStatus();
  // Without the lock: the file may have hundreds of megabytes, and nothing else waits for it.
  const absl::Status written = WriteTreeFile(options_, *parts_.data, trees->batch, trees->versions);
  if (written.ok()) return absl::OkStatus();
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  Fail(written);
  return Alive();
}

absl::StatusOr<CommitReply> Scheduler::Commit(const BatchCommit& commit) {
  ATTNRL_RETURN_IF_ERROR(CheckStatistics(commit.statistics));
  ATTNRL_RETURN_IF_ERROR(WriteTrees(commit));
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  // Once more: another learner may have come while the trees were written.
  ATTNRL_RETURN_IF_ERROR(HearLearner(commit.learner_epoch));
  CommitReply reply;
  const uint32_t before = run_->committed();
  ATTNRL_RETURN_IF_ERROR(
      InTransaction([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_) -> absl::Status {
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
    RemoveOldTrees();
    WarnIfNothingIsRight();
    if (EmptyInARow() == options_.max_empty_batches) WarnIfPaused();
  }
  HandOut();
  Changed();
  return reply;
}

void Scheduler::RemoveOldTrees() const {
  if (options_.trees_kept == 0 || run_->committed() <= options_.trees_kept) return;
  const absl::Status removed =
      RemoveTreeFilesBefore(options_.records + "/trees", run_->committed() - options_.trees_kept);
  // They are tried again after the next batch.
  if (!removed.ok()) observe::LogWarning("old trees stay", {{"reason", removed.ToString()}});
}

// By the process that commits the last of the first batches, so once in a run.
void Scheduler::WarnIfNothingIsRight() {
  if (run_->committed() != kFirstBatches) return;
  if (const auto words = run_->NothingRight()) observe::LogWarning(*words);
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
  absl::MutexLock writer(&writer_mutex_);
  absl::MutexLock lock(&mutex_);
  return store_->commits();
}

}  // namespace attnrl::scheduler
