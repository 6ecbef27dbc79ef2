// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/verifier/process/grader_process.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

struct GraderPoolOptions {
  // The program to run; empty: `attnrl-grader` beside the running executable.
  std::string binary = {};
  // Grader processes (`verifier.children`, --threads).
  int children = 1;
  // Of processor time for one response (`verifier.timeout_ms`, --timeout-ms). Only a watchdog for
  // faults of the grader: what a response may cost is counted, see Limits.
  absl::Duration timeout = absl::Seconds(1);
  // How long a process may take to start.
  absl::Duration start_patience = absl::Seconds(30);
  // Processes that must fail over a response, one after another, before that is its result.
  int attempts = 3;
  // What may wait in the queue, over all callers.
  size_t max_queued = 4096;
  size_t max_queued_bytes = size_t{256} << 20;

  // INVALID_ARGUMENT naming the option, or OK.
  absl::Status Validate() const;
};

// Grades untrusted responses in child processes. Called by the verifier's handlers, by `attnrl
// verify` and by `attnrl eval`, from any thread; one thread of its own a child. A child that dies
// or hangs is replaced; the response it was at is tried on other children, alone, and only when all
// of them fail becomes `crash` or `timeout`; the others in the same child are graded as if nothing
// had happened. Memory: what the callers hand in, and one response a child.
//
//   auto pool = GraderPool::Start({.children = 2});
//   auto results = (*pool)->Grade({{"a", "so \\boxed{1/2}", {"0.5"}}});
class GraderPool {
 public:
  struct Counters {
    int64_t in_flight = 0;  // responses queued or being graded
    int64_t restarts = 0;   // children replaced
    int children = 0;       // children running
  };

  // Starts all children and waits until they are ready. Fails when one can't be started.
  static absl::StatusOr<std::unique_ptr<GraderPool>> Start(GraderPoolOptions options);
  // No call of Grade may be under way.
  ~GraderPool();

  // One result a request, in their order. Blocks until all are graded. RESOURCE_EXHAUSTED, before
  // anything is done, when the queue has no room; the error of GraderProcess::Start when
  // children can't be started any more. INVALID_ARGUMENT: a request without answers.
  // Where `abandoned` is given and answers true, which it is asked ten times a second: what still
  // waits leaves the queue, what a child is at is waited for, and the result is CANCELLED.
  using Abandoned = std::function<bool()>;
  absl::StatusOr<std::vector<GradeResult>> Grade(const std::vector<GradeRequest>& requests,
                                                 const Abandoned& abandoned = nullptr);

  Counters counters() const;

 private:
  struct Batch;
  // One response of one call of Grade.
  struct Job {
    Batch* batch;
    size_t index;
    int failures = 0;  // processes that failed over it
  };

  explicit GraderPool(GraderPoolOptions options);
  void RunChild();
  bool KeepRunning(std::unique_ptr<GraderProcess>& process);
  std::vector<Job> TakeJobs();
  void RunJobs(std::vector<Job> jobs, std::unique_ptr<GraderProcess>& process);
  void Finish(const Job& job, GradeResult result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The queued jobs of one batch, or of all.
  void FailQueued(const absl::Status& status, const Batch* only = nullptr)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool CanTake() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const GraderPoolOptions options_;

  mutable absl::Mutex mutex_;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t restarts_ ABSL_GUARDED_BY(mutex_) = 0;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;   // children
  int starting_ ABSL_GUARDED_BY(mutex_) = 0;  // children not yet ready for the first time
  absl::Status start_error_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;  // set by Start, joined by the destructor
};

}  // namespace attnrl::verifier
