// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/data_set.h"
#include "services/branch_scheduler/instruments.h"
#include "services/branch_scheduler/options.h"
#include "services/branch_scheduler/problem.h"
#include "services/branch_scheduler/run/halt.h"
#include "services/branch_scheduler/run/learner_fence.h"
#include "services/branch_scheduler/run/run.h"
#include "services/branch_scheduler/store/journal.h"
#include "services/branch_scheduler/store/store.h"
#include "services/branch_scheduler/types.h"
#include "services/branch_scheduler/work/grading.h"
#include "services/branch_scheduler/work/leases.h"
#include "services/branch_scheduler/work/stall_watch.h"
#include "services/branch_scheduler/work/worker_session.h"
#include "services/verifier/client/verifier_client.h"

namespace attnrl::scheduler {

// The branch scheduler as its RPC handlers see it: joins the run, the leases, the grading and the
// record files, and owns the threads. Thread-safe; the handlers call it from theirs. One loop
// thread takes what workers send and grades from a bounded inbox in their order, writes all results
// and grades that came together in one transaction, and only then acknowledges; it also ends leases
// that have expired and hands out new ones. Another one hands out leases meanwhile: they are not
// durable, so a worker that has sent a result need not wait for a disk to go on.
//
// When the database or a file can't be written the scheduler has failed: streams end, every call is
// UNAVAILABLE with the reason, and the process is to end; the next one starts from the database.
//
// Bounds for memory: kMaxInbox messages of workers waiting, of kMaxInboxBytes,
// LeaseOptions::max_credits leases a worker, and what Run keeps of the open batches.
class Scheduler {
 public:
  struct Parts {
    SchedulerOptions options = {};
    const DataSet* data = nullptr;
    const TextTools* text = nullptr;
    verifier::VerifierClient* verifier = nullptr;
    Clock* clock = nullptr;
    // False: nothing happens by itself; the test calls Step and GradeOnce.
    bool threads = true;
    // Null: the store that the options name.
    std::function<absl::StatusOr<std::unique_ptr<Store>>()> open_store = nullptr;
  };
  static constexpr size_t kMaxInbox = 4096;
  static constexpr size_t kMaxInboxBytes = size_t{64} << 20;
  // Names of workers whose work is counted; those that are connected are always among them.
  static constexpr size_t kMaxKnownWorkers = 4096;
  // An item that so many workers fail is parked.
  static constexpr size_t kMaxFailures = 3;
  // A learner that says nothing for so long may be replaced by any other.
  static constexpr absl::Duration kLearnerSilence = absl::Seconds(15);

  // Opens the database, brings the record files up to date, starts the threads.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Start(Parts parts);
  ~Scheduler();

  // ---- workers

  // A worker's new stream. The session's first message is Registered.
  absl::StatusOr<std::shared_ptr<WorkerSession>> Connect(const Register& hello);
  // What the worker sent, for the loop. Doesn't wait: RESOURCE_EXHAUSTED when the inbox is full;
  // the message is then left as it was, to be tried again. INVALID_ARGUMENT: a mistake of the
  // worker.
  absl::Status Receive(const std::shared_ptr<WorkerSession>& session, WorkerMessage&& message);
  // The stream is gone, or is to go: behind what was received before. Doesn't wait.
  void Disconnect(const std::shared_ptr<WorkerSession>& session);
  // The worker has closed its side in order: a Disconnect, before which what it still has leased,
  // because the grant and its leave crossed, is handed out again at once. Then the session ends
  // with OK.
  void Leave(const std::shared_ptr<WorkerSession>& session);

  // ---- the learner

  // This process is the learner from now on: its epoch, durable. Whoever comes with another one is
  // refused by the calls below: ABORTED.
  // UNAVAILABLE while the newest learner has been heard of lately and holds another `place`: what
  // was replaced, and is started again, must not take the run back. An empty place never waits.
  absl::StatusOr<uint64_t> RegisterLearner(const std::string& learner,
                                           const std::string& place = "");
  // A sign of life of a learner that has registered.
  absl::Status LearnerLives(uint64_t epoch);
  absl::Status Announce(const BatchRequest& request);
  // Waits up to `timeout` for the batch that was announced; nullopt and the `reason` when it isn't
  // ready by then.
  absl::StatusOr<std::optional<TrainingBatch>> AwaitBatch(const BatchRequest& request,
                                                          absl::Duration timeout,
                                                          std::string* reason);
  absl::StatusOr<CommitReply> Commit(const BatchCommit& commit);

  // ---- people and tools

  RunStatus Status() const;
  // Blocks until something changed since `seen` (0: returns at once); the new count of changes.
  uint64_t AwaitChange(uint64_t seen, absl::Duration timeout) const;
  // All three are durable when they return OK; a scheduler that starts again obeys them.
  absl::Status Pause(const std::string& reason);
  // Ends a drain and, unless `keep_pause`, a pause.
  absl::Status Resume(bool keep_pause = false);
  // Hands out nothing more, waits up to `grace` for the leases, takes back the rest and ends the
  // streams. Returns how many leases it waited for. Blocks.
  absl::StatusOr<uint32_t> Drain(absl::Duration grace);

  // OK while it works; after that every call above is UNAVAILABLE: the next process answers it.
  absl::Status failure() const;
  // Ends every wait and every stream. For shutdown.
  void Stop();

  // What was counted since the start, for tests; people read it at /metrics.
  LeaseTable::Counters lease_counters() const;
  Run::Counters run_counters() const;
  uint64_t store_commits() const;

  // One round of the loop thread, for tests without threads: with what it makes of having stood
  // still before, or without.
  void Round();
  void Step();
  bool GradeOnce() { return grading_->RunOnce(); }

 private:
  // The end of a stream.
  struct Hangup {
    bool orderly = false;
  };
  // What came from a worker, as the loop takes it.
  struct Arrival {
    std::shared_ptr<WorkerSession> session;
    std::variant<WorkerMessage, Hangup> what;
  };
  struct Inbox {
    std::vector<Arrival> arrivals;
    size_t bytes = 0;  // of their messages in memory
    std::vector<GradedItem> grades;
    bool empty() const { return arrivals.empty() && grades.empty(); }
    // Something in it belongs into the database.
    bool durable() const;
  };
  // What the loop has to say once everything is durable: a message, or the session's end.
  struct Reply {
    std::shared_ptr<WorkerSession> session;
    std::variant<SchedulerMessage, absl::Status> what;
  };
  // A result that has arrived and is not durable yet.
  struct Sent {
    std::shared_ptr<WorkerSession> session;
    LeaseId lease = {};
  };
  struct Work {
    uint64_t results = 0, generated_tokens = 0;
  };

  explicit Scheduler(Parts parts);
  absl::Status Open();
  absl::Status CheckRecords() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  void Loop();
  // While the loop waits for a disk: leases for workers whose results wait for it too.
  void LeaseAhead();

  // scheduler_workers.cc
  absl::Status Apply(Arrival& arrival, std::vector<Reply>* replies)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  void Apply(const std::shared_ptr<WorkerSession>& session, Hangup hangup,
             std::vector<Reply>* replies) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Apply(const WorkerSession& session, const GiveBack& back)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The worker's newest stream; what an older one said of leases and credits no longer counts.
  bool IsCurrent(const std::shared_ptr<WorkerSession>& session) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Ack> ApplyResult(const WorkerSession& session, const ItemResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  // The worker failed the lease's item: another one gets it, or it is to be parked.
  void NoteFailure(const std::string& worker, LeaseId lease, ItemId item, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ABORTED unless it is the newest learner, who is heard of then.
  absl::Status HearLearner(uint64_t epoch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // scheduler_loop.cc
  void Process(Inbox inbox) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  // Drops the problems of items that nobody can do; a batch that loses all of them ends the
  // process.
  void ParkFailed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  // The tree file of the batch, before it is committed. Fails the scheduler where it can't be
  // written.
  absl::Status WriteTrees(const BatchCommit& commit);
  // This process stood still for so long: no lease may expire for that.
  void ForgivePause(absl::Duration pause);
  // Ends the leases that were not renewed in time by what was heard until `heard`.
  void ExpireLeases(absl::Duration heard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Opens what the run made runnable, queues gradings, grants new leases.
  void HandOut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  // Of items that have been opened before, and so of what is durable.
  void Grant() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Lets those who wait for the run in memory have it for a moment.
  void GiveWay() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void PushTo(const std::string& worker, SchedulerMessage message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { ++changes_; }
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  // UNAVAILABLE once the scheduler has failed or stops.
  absl::Status Alive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True where the caller, not the scheduler, is at fault: nothing was changed then.
  static bool IsCallersFault(const absl::Status& status);
  // Runs `work` in a transaction. What the caller did wrong is returned and undone, everything else
  // is a failure of the scheduler. Gives mutex_ up while it commits. Who looks at the run then sees
  // what is not durable yet, so only counts and states may come of it, and leases of what was.
  absl::Status InTransaction(const std::function<absl::Status()>& work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // After a commit: observe.trees_kept.
  void RemoveOldTrees() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // After a commit: says it in the log where the first batches earned nothing.
  void WarnIfNothingIsRight() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // scheduler_admin.cc
  // Batches without a sample since the last that had some, or since the last Resume.
  uint32_t EmptyInARow() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why nothing is handed out until Resume: somebody asked, or too many empty batches in a row.
  // Empty: the run isn't paused.
  std::string PauseReason() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WarnIfPaused() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes it durable, then obeys it.
  absl::Status SetHalt(const Halt& halt) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  // What the run waits for, in words: with batch, problem, lease, worker and age; and `what` of it,
  // which stays the same as long as it is the same thing.
  struct Wait {
    std::string what, text;
  };
  std::vector<Wait> Waits(const std::vector<BatchStatus>& batches) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // In the log, where nothing moves and nobody asked for that.
  void SayIfStalled(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_, mutex_);
  std::string Obstacle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndSessions(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Parts parts_;
  const SchedulerOptions& options_;
  Clock& clock_;

  std::optional<storage::FileLock> directory_;  // its lock on the run directory
  // Held by whoever changes the run or tells others what it holds, until that is durable. Before
  // mutex_.
  mutable absl::Mutex writer_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  // Guards the run in memory: held for microseconds, never for a disk.
  mutable absl::Mutex mutex_;
  std::unique_ptr<Store> store_ ABSL_PT_GUARDED_BY(writer_mutex_);
  std::unique_ptr<Run> run_ ABSL_PT_GUARDED_BY(mutex_);
  std::unique_ptr<Journal> journal_ ABSL_PT_GUARDED_BY(writer_mutex_);
  std::unique_ptr<LeaseTable> leases_ ABSL_PT_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<WorkerSession>> sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Work> work_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  Halt halt_ ABSL_GUARDED_BY(mutex_);
  LearnerFence learner_ ABSL_GUARDED_BY(mutex_);
  // When the newest learner last said something; before it did to this process, when that began.
  absl::Duration learner_heard_ ABSL_GUARDED_BY(mutex_);
  StallWatch stall_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_connection_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::Duration expired_at_ ABSL_GUARDED_BY(mutex_);       // leases were last looked through
  absl::Duration hand_out_from_ ABSL_GUARDED_BY(mutex_);    // end of the adoption grace
  std::set<std::string> expected_ ABSL_GUARDED_BY(mutex_);  // workers that it waits for
  std::optional<uint32_t> prefetched_ ABSL_GUARDED_BY(mutex_);
  // Items that too many workers failed, and why the last did.
  std::vector<std::pair<ItemId, std::string>> to_park_ ABSL_GUARDED_BY(mutex_);
  Instruments instruments_ ABSL_GUARDED_BY(mutex_);

  // What workers sent, and grades, on their way to the loop thread.
  absl::Mutex inbox_mutex_;
  Inbox inbox_ ABSL_GUARDED_BY(inbox_mutex_);
  std::vector<Sent> sent_ ABSL_GUARDED_BY(inbox_mutex_);  // for LeaseAhead
  bool stop_ ABSL_GUARDED_BY(inbox_mutex_) = false;

  std::unique_ptr<GradingQueue> grading_;
  std::optional<absl::Duration> due_;  // the loop's next round, at the latest; its thread's own
  std::thread loop_;
  std::thread leases_ahead_;
};

}  // namespace attnrl::scheduler
