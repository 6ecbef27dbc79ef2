// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// One stream of a worker: what the scheduler wants to send, until the stream takes it. At most as
// many leases as the worker has credits, and one acknowledgement a result, wait in it. Thread-safe.
class WorkerSession {
 public:
  WorkerSession(std::string worker, uint64_t connection)
      : worker_(std::move(worker)), connection_(connection) {}

  const std::string& worker() const { return worker_; }
  // Unique in this process.
  uint64_t connection() const { return connection_; }

  void Push(SchedulerMessage message) {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    messages_.push_back(std::move(message));
    // Whoever was woken for the first takes the others too.
    if (messages_.size() == 1) Wake();
  }

  // What is waiting is still sent; then the stream ends with `status`.
  void End(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    ended_ = true;
    status_ = std::move(status);
    Wake();
  }

  bool ended() const {
    absl::MutexLock lock(&mutex_);
    return ended_;
  }

  // The next message, if there is one; `*over` is the status with which the stream is to end, set
  // once everything was taken. Doesn't wait.
  std::optional<SchedulerMessage> Next(std::optional<absl::Status>* over) {
    absl::MutexLock lock(&mutex_);
    if (!messages_.empty()) {
      std::optional<SchedulerMessage> message = std::move(messages_.front());
      messages_.pop_front();
      return message;
    }
    if (ended_) *over = status_;
    return std::nullopt;
  }

  // `wake` is called when there is something for Next again, and at once if there is already; by
  // whoever brings it and with this session's lock, so it may only pass the word on. An empty one
  // ends the calls.
  void WakeWith(std::function<void()> wake) {
    absl::MutexLock lock(&mutex_);
    wake_ = std::move(wake);
    if (ended_ || !messages_.empty()) Wake();
  }

 private:
  void Wake() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (wake_) wake_();
  }

  const std::string worker_;
  const uint64_t connection_;
  mutable absl::Mutex mutex_;
  std::deque<SchedulerMessage> messages_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> wake_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::scheduler
