// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/testing/fake_batch_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::scheduler {

void FakeBatchSource::Add(TrainingBatch batch) {
  absl::MutexLock lock(&mutex_);
  const uint32_t number = batch.batch;
  batches_[number] = std::move(batch);
}

std::vector<BatchRequest> FakeBatchSource::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

std::vector<BatchCommit> FakeBatchSource::commits() const {
  absl::MutexLock lock(&mutex_);
  return commits_;
}

void FakeBatchSource::CommittedBefore(uint32_t number) {
  absl::MutexLock lock(&mutex_);
  committed_before_ = number;
}

void FakeBatchSource::FailNext(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  fail_ = std::move(status);
}

std::vector<std::string> FakeBatchSource::learners() const {
  absl::MutexLock lock(&mutex_);
  return learners_;
}

void FakeBatchSource::KeepWaitingOnce() {
  absl::MutexLock lock(&mutex_);
  keep_waiting_ = true;
}

absl::Status FakeBatchSource::Register(const std::string& learner,
                                       const std::function<void(const std::string&)>& waiting) {
  bool wait = false;
  {
    absl::MutexLock lock(&mutex_);
    learners_.push_back(learner);
    wait = std::exchange(keep_waiting_, false);
  }
  // Without the lock, since `waiting` may cancel.
  if (wait && waiting) waiting("registering: kept waiting");
  absl::MutexLock lock(&mutex_);
  return cancelled_ ? absl::CancelledError("the batch source was cancelled") : absl::OkStatus();
}

absl::StatusOr<TrainingBatch> FakeBatchSource::NextBatch(
    const BatchRequest& request, const std::function<void(const std::string&)>& waiting) {
  absl::MutexLock lock(&mutex_);
  requests_.push_back(request);
  if (!fail_.ok()) return std::exchange(fail_, absl::OkStatus());
  if (!batches_.empty() && batches_.rbegin()->second.last &&
      request.batch > batches_.rbegin()->first) {
    return absl::OutOfRangeError(absl::StrCat("the run ends before batch ", request.batch));
  }
  auto ready = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return cancelled_ || batches_.contains(request.batch);
  };
  if (!ready() && waiting) waiting(absl::StrCat("batch ", request.batch, ": not added yet"));
  mutex_.Await(absl::Condition(&ready));
  if (cancelled_) return absl::CancelledError("the batch source was cancelled");
  return batches_.at(request.batch);
}

absl::StatusOr<CommitReply> FakeBatchSource::CommitBatch(
    const BatchCommit& commit, const std::function<void(const std::string&)>&) {
  absl::MutexLock lock(&mutex_);
  commits_.push_back(commit);
  if (!fail_.ok()) return std::exchange(fail_, absl::OkStatus());
  if (cancelled_) return absl::CancelledError("the batch source was cancelled");
  CommitReply reply;
  reply.oldest_version_needed = std::max(commit.batch, committed_before_);
  auto batch = batches_.find(commit.batch);
  reply.finished = batch != batches_.end() && batch->second.last;
  return reply;
}

void FakeBatchSource::Cancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
}

}  // namespace attnrl::scheduler
