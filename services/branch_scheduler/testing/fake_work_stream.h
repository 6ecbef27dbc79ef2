// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/branch_scheduler/client/work_stream.h"

namespace attnrl::scheduler {

// The scheduler's end of fake work streams, for tests of a worker: the test says what the scheduler
// sends and reads what the worker sent. Thread-safe. Only the newest stream is alive: opening
// another one ends the one before, as a broken connection does.
//
//   FakeWorkConnector scheduler;
//   Worker worker(&scheduler);
//   auto hello = scheduler.AwaitSent(absl::Seconds(5));      // Register
//   scheduler.Push(Registered{.epoch = 1, .lease_seconds = 60});
//   scheduler.Push(Lease{.lease = 7, .item = item});
//   auto result = scheduler.AwaitSent(absl::Seconds(5));     // ItemResult
//   scheduler.Break(absl::UnavailableError("restart"));      // the worker opens a new stream
class FakeWorkConnector final : public WorkConnector {
 public:
  FakeWorkConnector();
  ~FakeWorkConnector() override;

  absl::StatusOr<std::unique_ptr<WorkStream>> Open() override;

  // Delivered to the open stream, or to the next one if none is open.
  void Push(SchedulerMessage message);
  // The next message that a worker sent, over all streams; nullopt after `timeout`.
  std::optional<WorkerMessage> AwaitSent(absl::Duration timeout);
  // Ends the open stream: its calls return `status`.
  void Break(absl::Status status);
  // Sending a result fails with this until it is OK again; other messages pass.
  void RefuseResults(absl::Status status);
  // Open fails with this until it is OK again.
  void RefuseOpen(absl::Status status);
  int opened() const;
  // The newest stream's worker said that it leaves, in order.
  bool left() const;

 private:
  friend class FakeWorkStream;
  struct Shared {
    absl::Mutex mutex;
    std::deque<SchedulerMessage> to_worker ABSL_GUARDED_BY(mutex);
    std::deque<WorkerMessage> from_worker ABSL_GUARDED_BY(mutex);
    bool left ABSL_GUARDED_BY(mutex) = false;
    int opened ABSL_GUARDED_BY(mutex) = 0;  // number of the stream that is alive
    absl::Status ended ABSL_GUARDED_BY(mutex);
    absl::Status refuse ABSL_GUARDED_BY(mutex);
    absl::Status refuse_results ABSL_GUARDED_BY(mutex);
  };
  std::shared_ptr<Shared> shared_;
};

}  // namespace attnrl::scheduler
