// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// One stream of a worker: what the scheduler wants to send, until the stream's writer takes it. At
// most as many leases as the worker has credits, and one acknowledgement a result, wait in it.
// Thread-safe.
class WorkerSession {
 public:
  WorkerSession(std::string worker, uint64_t connection)
      : worker_(std::move(worker)), connection_(connection) {}

  const std::string& worker() const { return worker_; }
  // Unique in this process.
  uint64_t connection() const { return connection_; }

  void Push(SchedulerMessage message) {
    absl::MutexLock lock(&mutex_);
    if (!ended_) messages_.push_back(std::move(message));
  }

  // What is waiting is still sent; then the stream ends with `status`.
  void End(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    ended_ = true;
    status_ = std::move(status);
  }

  // The next message; nullopt after `timeout` without one; `*over` is the status with which the
  // stream is to end, set once everything was taken.
  std::optional<SchedulerMessage> Next(absl::Duration timeout, std::optional<absl::Status>* over) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(this, &WorkerSession::Something), timeout);
    if (!messages_.empty()) {
      std::optional<SchedulerMessage> message = std::move(messages_.front());
      messages_.pop_front();
      return message;
    }
    if (ended_) *over = status_;
    return std::nullopt;
  }

 private:
  bool Something() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ended_ || !messages_.empty();
  }

  const std::string worker_;
  const uint64_t connection_;
  absl::Mutex mutex_;
  std::deque<SchedulerMessage> messages_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::scheduler
