// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/branch_scheduler/types.h"
#include "services/branch_scheduler/work/leases.h"

namespace attnrl::scheduler {

// One stream of a worker: what the scheduler wants to send, until the stream takes it. A worker
// that sends and doesn't read is answered all the same, so what waits is bounded; beyond that the
// stream ends, and whoever reads comes back. Thread-safe.
class WorkerSession {
 public:
  // Of what waits beside leases, which may be kMaxLeasesOfWorker: more than the answers to all that
  // a worker may hold.
  static constexpr int64_t kMaxBytes = int64_t{8} << 20;

  WorkerSession(std::string worker, uint64_t connection)
      : worker_(std::move(worker)), connection_(connection) {}

  const std::string& worker() const { return worker_; }
  // Unique in this process.
  uint64_t connection() const { return connection_; }

  void Push(SchedulerMessage message) {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    Count(message, 1);
    if (leases_ > kMaxLeasesOfWorker || bytes_ > kMaxBytes) {
      messages_.clear();
      return EndLocked(absl::ResourceExhaustedError(absl::StrCat(
          "worker ", worker_, " doesn't read: ", leases_, " leases and ", bytes_,
          " bytes of other messages wait; at most ", kMaxLeasesOfWorker, " and ", kMaxBytes)));
    }
    messages_.push_back(std::move(message));
    // Whoever was woken for the first takes the others too.
    if (messages_.size() == 1) Wake();
  }

  // What is waiting is still sent; then the stream ends with `status`.
  void End(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    if (!ended_) EndLocked(std::move(status));
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
      Count(*message, -1);
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
  void Count(const SchedulerMessage& message, int64_t sign) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::holds_alternative<Lease>(message)) {
      leases_ += sign;
    } else {
      bytes_ += sign * static_cast<int64_t>(MemoryOf(message));
    }
  }
  void EndLocked(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ended_ = true;
    status_ = std::move(status);
    Wake();
  }
  void Wake() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (wake_) wake_();
  }

  const std::string worker_;
  const uint64_t connection_;
  mutable absl::Mutex mutex_;
  std::deque<SchedulerMessage> messages_ ABSL_GUARDED_BY(mutex_);
  int64_t leases_ ABSL_GUARDED_BY(mutex_) = 0;  // of the messages
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;   // of the others
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> wake_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::scheduler
