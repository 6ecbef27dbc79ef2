// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "services/branch_scheduler/problem.h"
#include "services/verifier/client/verifier_client.h"

namespace attnrl::scheduler {

// All leaves of one item, to be graded.
struct GradeTask {
  ItemId item = {};
  std::vector<std::vector<int32_t>> responses = {};   // whole responses, the prompt not included
  const std::vector<std::string>* answers = nullptr;  // lives as long as the data set
  const std::string* grader = nullptr;                // the same; null or empty: the run's
};

struct GradedItem {
  ItemId item = {};
  std::vector<Grade> grades = {};  // one a response, in order
  Span span = {};                  // of the calls that graded it
};

// Asks the verifier, off the run's thread. A verifier that is away, overloaded or refuses a call is
// asked again for as long as it takes, and trouble() says why: a refusal never becomes a reward. A
// call that can't be answered in time is made again in halves. A response larger than any call may
// carry is graded `limit` without one; one whose grading crashed or timed out is tried `attempts`
// times in all, then that is its grade, and no reward (tests/README.md, promise 7). Calls at once:
// two for each verifier that has answered lately. Thread-safe.
// Memory: the tasks waiting, at most the leaves of the batches that are open.
class GradingQueue {
 public:
  struct Options {
    uint32_t threads = 2;  // calls at once for each verifier; 0: the test calls RunOnce
    uint32_t attempts = 3;
    size_t items_per_call = 32;
    std::string grader = {};  // of tasks that name none
    // Of the verifier's watchdog (verifier.timeout_ms): what one response may take.
    absl::Duration grader_timeout = absl::Seconds(1);
    absl::Duration retry_after = absl::Milliseconds(500);
  };
  using Done = std::function<void(GradedItem)>;
  // Whatever the number of verifiers.
  static constexpr size_t kMaxThreads = 64;

  // `decode` and `done` are called from any of the queue's threads.
  GradingQueue(Options options, verifier::VerifierClient* client,
               std::function<std::string(const std::vector<int32_t>&)> decode, Clock* clock,
               Done done);
  ~GradingQueue();

  // Ends the calls under way; nothing is graded any more. Uses up the client. Doesn't block.
  void Stop();
  void Add(std::vector<GradeTask> tasks);
  // Grades the tasks that wait now, up to items_per_call. False when there were none.
  bool RunOnce();
  // Why nothing comes: the verifier's last error, empty when it answered.
  std::string trouble() const;
  // Items that were added and are not graded yet.
  size_t waiting() const;

 private:
  struct Pending {
    GradeTask task;
    std::vector<std::string> texts;
    std::vector<Grade> grades;
    std::vector<bool> settled;
    std::optional<Stopwatch> watch;  // since the first call that was answered
    Span span;

    // Something is settled by what began with `since`.
    void NoteSettled(const Stopwatch& since);
  };

  // A response of one of the tasks in work.
  struct Place {
    size_t task, response;
  };

  void Loop(size_t index);
  // For the thread of that index, which may be one more than are needed now: then nothing.
  std::vector<GradeTask> Take(size_t index, absl::Duration wait);
  // As many threads as the verifiers that answer keep busy.
  void FollowServers();
  // Grades what Take returned; back in the queue where that is impossible now.
  void GradeAll(std::vector<GradeTask> tasks);
  void GradeTaken(std::vector<GradeTask> tasks);
  // Has every response not settled yet graded once, for as long as it takes. False: the queue is
  // shutting down, or a test calls RunOnce again.
  bool Attempt(std::vector<Pending>& pending, bool final_attempt);
  // One call; the results, one a request, or why there are none.
  absl::StatusOr<std::vector<Grade>> Call(const std::vector<verifier::GradeRequest>& requests);
  // How long a call may take: longer than the graders' own watchdogs, so that those decide.
  absl::Duration Deadline(size_t requests) const;
  bool stopping() const;

  const Options options_;
  verifier::VerifierClient* const client_;
  const std::function<std::string(const std::vector<int32_t>&)> decode_;
  Clock* const clock_;
  const Done done_;

  mutable absl::Mutex mutex_;
  std::deque<GradeTask> tasks_ ABSL_GUARDED_BY(mutex_);
  size_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;  // taken from tasks_, not graded yet
  std::string trouble_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  size_t wanted_ ABSL_GUARDED_BY(mutex_) = 1;  // threads that may take tasks
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::scheduler
