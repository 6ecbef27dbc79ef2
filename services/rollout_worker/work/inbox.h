// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/types.h"
#include "services/rollout_worker/engine/request.h"

namespace attnrl::rollout {

// From the scheduler, over the stream with this number.
struct StreamMessage {
  int stream = 0;
  scheduler::SchedulerMessage message = {};
};
struct StreamEnded {
  int stream = 0;
  absl::Status status = absl::OkStatus();
};
// The worker is asked to leave.
struct DrainWanted {};
// Tokens sampled so far, by request in a slot of the engine.
struct Progress {
  std::map<uint64_t, uint64_t> tokens = {};
};
using WorkerEvent = std::variant<StreamMessage, StreamEnded, Completion, DrainWanted, Progress>;

// What happened to a worker, in one line for its thread. Thread-safe. Messages of the scheduler are
// bounded: their sender waits while `max_messages` are unread. Everything else is taken at once,
// because the engine must never wait for the worker; it is bounded by the requests in work.
class Inbox {
 public:
  explicit Inbox(size_t max_messages = 256) : max_messages_(max_messages) {}

  // False when the inbox is closed; the message is dropped then.
  bool PushMessage(StreamMessage message) {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &Inbox::MayTakeMessage));
    if (closed_) return false;
    ++messages_;
    events_.emplace_back(std::move(message));
    return true;
  }

  void Push(WorkerEvent event) {
    absl::MutexLock lock(&mutex_);
    if (!closed_) events_.push_back(std::move(event));
  }

  // The oldest event; nullopt after `timeout` without one.
  std::optional<WorkerEvent> Pop(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(this, &Inbox::HasEvent), timeout);
    if (events_.empty()) return std::nullopt;
    WorkerEvent event = std::move(events_.front());
    events_.pop_front();
    if (std::holds_alternative<StreamMessage>(event)) --messages_;
    return event;
  }

  // Later pushes are dropped; a waiting sender goes on.
  void Close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }

 private:
  bool MayTakeMessage() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || messages_ < max_messages_;
  }
  bool HasEvent() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || !events_.empty();
  }

  const size_t max_messages_;
  absl::Mutex mutex_;
  std::deque<WorkerEvent> events_ ABSL_GUARDED_BY(mutex_);
  size_t messages_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnrl::rollout
