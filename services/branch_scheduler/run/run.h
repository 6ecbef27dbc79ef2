// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "services/branch_scheduler/admission/admission.h"
#include "services/branch_scheduler/data_set.h"
#include "services/branch_scheduler/decide/cursor.h"
#include "services/branch_scheduler/decide/outcome.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/options.h"
#include "services/branch_scheduler/problem.h"
#include "services/branch_scheduler/records/records.h"
#include "services/branch_scheduler/records/verdicts.h"
#include "services/branch_scheduler/store/store.h"
#include "services/branch_scheduler/types.h"
#include "services/branch_scheduler/work/grading.h"
#include "services/branch_scheduler/work/placement.h"

namespace attnrl::scheduler {

// The state machine of a run: which batches exist, what is sampled and graded of them, which
// versions of the weights are durable, what may be sampled next. Knows nothing of leases, threads,
// streams.
//
// Facts come in (a version, a result, grades, a commit) and are written to the store; the caller
// brackets calls with Store::Begin and Commit, several facts a transaction where they come
// together, and lets no effect be seen before the commit. After a failed call or commit the
// object is worthless: the process ends and the next one starts from the database. What becomes
// possible is collected in TakeRunnable and TakeGradeTasks; after Open these hold everything that
// is open.
//
// Batches b >= the number of commits are in memory (at most lag + 1 of them, each with
// batch_problems * n * (1 + N*T) leaves), older ones only in the store, for replays. Not
// thread-safe.
class Run {
 public:
  struct Runnable {
    uint32_t version = 0;
    ItemId item = {};
    ItemSize size = {};
  };
  struct Counters {
    uint64_t ungradable_problems = 0;
    uint64_t parked_items = 0;
    uint64_t generated_tokens = 0;
    uint64_t reused_tokens = 0;
    uint64_t prefill_tokens = 0;
  };
  // The newest batch that this process committed, and what became of all of them.
  struct TreeFacts {
    BatchFacts last = {};
    tree::RunningMean solved = {};  // the filter's mean
    std::map<Kept, uint64_t> problems = {};
    std::map<std::string, uint64_t> points = {};  // by origin
    uint64_t expanded = 0;                        // initial responses
    uint64_t unexpanded = 0;
    VerdictCounts verdicts = {};  // of leaves
  };
  // Everything that outlives the run.
  struct Parts {
    const SchedulerOptions* options = nullptr;
    const DataSet* data = nullptr;
    const TextTools* text = nullptr;
    Store* store = nullptr;
    Clock* clock = nullptr;
  };

  // The run in the store, or a new one. InputError naming the keys in which it differs from the run
  // that the store holds. Writes transactions of its own.
  static absl::StatusOr<std::unique_ptr<Run>> Open(const Parts& parts);

  // ---- the learner

  // What the learner holds. FAILED_PRECONDITION when it doesn't fit the run.
  absl::Status Announce(const BatchRequest& request);
  // The batch, once it is ready; nullopt before, and then `reason` says what is missing.
  // OUT_OF_RANGE beyond the end. FAILED_PRECONDITION: not its turn yet. INVALID_ARGUMENT:
  // forgotten.
  absl::StatusOr<std::optional<TrainingBatch>> Batch(uint32_t batch, std::string* reason);
  // Only after the file trees/batch-N.jsonl.zst, of what TreesToWrite returns, is complete.
  absl::StatusOr<CommitReply> Commit(const BatchCommit& commit);
  // A copy of the batch that Commit can take next, with the versions that sampled it; nullopt where
  // Commit would change nothing.
  struct Trees {
    BatchState batch = {};
    SamplingVersions versions = {};
  };
  std::optional<Trees> TreesToWrite(uint32_t batch) const;

  // ---- workers and grader

  // What a worker is to do. `item` is open.
  WorkItem MakeItem(ItemId item) const;
  // INVALID_ARGUMENT when the result isn't one of its item; nothing has changed then.
  absl::StatusOr<AdmittedResult> Admit(ItemResult result) const;
  // The caller has checked the lease.
  absl::Status AddResult(const std::string& worker, const AdmittedResult& admitted);
  // Nobody can do the item: its problem is dropped, the rest of the batch goes on. INVALID_ARGUMENT
  // with the `reason` when that leaves no problem of the batch.
  absl::Status Park(ItemId item, const std::string& reason);
  // Of an open item's problem, as the data set has it.
  std::string ProblemId(ItemId item) const;
  // The lease whose result of this item is durable, if any is.
  absl::StatusOr<std::optional<LeaseId>> LeaseOfResult(ItemId item) const;
  absl::Status AddGrades(const GradedItem& graded);

  std::vector<Runnable> TakeRunnable();
  std::vector<GradeTask> TakeGradeTasks();

  // ---- facts

  uint32_t epoch() const { return epoch_; }
  uint32_t committed() const { return committed_; }
  bool finished() const { return committed_ >= options_.steps; }
  uint32_t batches_left() const { return finished() ? 0 : options_.steps - committed_; }
  // In seconds since the epoch, by the database, so that a start changes nothing: when the last
  // batch was committed, before there is one when the first was composed; and when the last batch
  // of the newest checkpoint was committed, before there is one when the first batch was committed,
  // or else composed. nullopt before there is a batch.
  struct Times {
    double commit = 0, checkpoint = 0;
  };
  std::optional<Times> times() const;
  bool started() const { return !versions_.empty() && !extension_pending_; }
  std::optional<Version> newest_version() const;
  uint32_t OldestVersionNeeded() const;
  // Batches without samples at the end of what is committed, since the last that had some.
  uint32_t empty_in_a_row() const { return empty_in_a_row_; }
  const std::string& last_metrics() const { return last_metrics_; }
  // What to tell people of a run whose first batches earned nothing (records/nothing_right.h), from
  // the commit of the last of these on; nullopt where there is nothing to tell.
  std::optional<std::string> NothingRight() const;
  const Counters& counters() const { return counters_; }
  const TreeFacts& trees() const { return trees_; }
  std::vector<BatchStatus> Batches() const;
  // Who sampled something of the open batches.
  std::set<std::string> Workers() const;
  // The numerics id of a deterministic run's workers; empty while none has come.
  const std::string& numerics_id() const { return numerics_id_; }
  absl::Status SetNumericsId(const std::string& id);

 private:
  explicit Run(const Parts& parts);

  // run_open.cc
  absl::Status Recover();
  absl::Status RecoverSteps();
  absl::Status CheckFingerprint();
  // What is stored of a batch. DATA_LOSS naming the item for what is damaged; with `damaged` such
  // items are left out and named there: the result, or its grades alone.
  struct Damaged {
    ItemId item = {};
    bool grades_only = false;
  };
  absl::StatusOr<BatchState> LoadBatch(const Store::BatchRow& row,
                                       std::vector<Damaged>* damaged) const;
  // Removes them with all that was decided by them, so that it is sampled and graded again.
  absl::Status CheckStillThere(pipeline::Place place, ItemId item) const;
  absl::Status ForgetDamaged(const Store::BatchRow& row, const std::vector<Damaged>& damaged);
  BatchState NewBatch(const Store::BatchRow& row) const;
  // Composes every batch that may begin.
  absl::Status Compose();
  uint32_t BaseOf(uint32_t batch) const;
  absl::Status DecideExtension(const BatchRequest& request);

  // run_work.cc
  const Problem* FindProblem(const ItemKey& key) const;
  BatchState* FindBatch(uint32_t batch);
  void OpenInitials(BatchState& batch);
  // What is expected of an item: of an initial response what the problem's were of late, or as much
  // as there may be where none is known; of continuations the rest of their response, each.
  ItemSize SizeOf(const BatchState& batch, const Problem& problem, uint32_t response,
                  ItemKind kind) const;
  // Of a committed batch: what a later one is composed by, and when it was committed.
  struct Known {
    uint32_t problems = 0;
    uint32_t valid = 0;
    tree::RunningMean solved = {};  // up to and with the batch
    double time = 0;                // of the commit, in seconds since the epoch
  };

  // run_adapt.cc
  // b_real of the next batch to compose; nullopt while its size is B0.
  std::optional<double> NextRealSize(pipeline::Place next) const;
  // The mean over all solved problems up to and with this batch; nullopt while initial responses of
  // one of them are missing.
  std::optional<tree::RunningMean> SolvedMean(uint32_t batch) const;
  // Decides the expansion of a problem whose initial responses are graded; false while it waits for
  // those of other problems.
  bool Decide(const BatchState& batch, Problem& problem) const;
  void CountTrees(const BatchState& batch, const std::vector<ProblemOutcome>& outcomes);

  // Once all of the problem's initial responses are graded: whether it can be used, and its score.
  void NoteGraded(BatchState& batch, Problem& problem);
  // Decides the problem's expansion when it can be, opens its continuations, closes it when done.
  void Advance(BatchState& batch, Problem& problem);
  void AdvanceAll();
  GradeTask MakeGradeTask(const ItemKey& key, const Problem& problem) const;

  // run_commit.cc
  absl::Status AddVersion(const Version& version);
  absl::Status AddCheckpoint(uint32_t step);
  absl::Status Forgotten(uint32_t batch) const;
  absl::StatusOr<CommitReply> CommitAgain(const BatchCommit& commit);
  SamplingVersions VersionsOf(const BatchState& batch) const;
  absl::Status WriteRecords(const BatchState& batch, const BatchCommit& commit);
  // A line of metrics.jsonl, from that of batch 0 on: what a restart reads back is what counts.
  void NoteVerdicts(const std::string& metrics);
  absl::Status AddEvents(const BatchCommit& commit);
  CommitReply Reply(uint32_t batch) const;

  const SchedulerOptions& options_;
  const pipeline::Schedule schedule_;
  const DataSet& data_;
  const TextTools& text_;
  Store& store_;
  Clock& clock_;
  const std::vector<DataPart> parts_;    // of data_
  mutable std::vector<Cursor> cursors_;  // one for each

  uint32_t epoch_ = 0;
  uint32_t committed_ = 0;   // batches 0..committed_-1 are trained
  uint32_t next_batch_ = 0;  // the next one to compose
  uint64_t next_place_ = 0;  // of its first problem, if it has the data of the batch before it
  bool extension_pending_ = false;
  std::string numerics_id_;
  std::map<uint32_t, uint32_t> segments_;     // first batch -> base
  std::map<uint32_t, std::string> versions_;  // number -> digest
  std::map<uint32_t, BatchState> batches_;    // not committed yet
  std::vector<Known> known_;                  // of the batches committed
  double last_real_size_ = 0;                 // b_real of batch next_batch_ - 1
  std::vector<uint32_t> checkpoints_;
  uint32_t forgotten_before_ = 0;
  uint32_t empty_in_a_row_ = 0;
  double begun_ = 0;             // when the first batch was composed; used until one is committed
  double last_commit_time_ = 0;  // or when this process started
  double last_train_end_ = 0;
  std::vector<Span> rollout_spans_;  // that may overlap a training step still to come
  std::string last_metrics_;
  std::vector<BatchVerdicts> first_verdicts_;  // of batches 0 to kFirstBatches - 1 at most
  Counters counters_;
  TreeFacts trees_;
  // Tokens of an initial response, by row of the data set; 0 where this process has seen none.
  std::vector<uint32_t> usual_tokens_;
  std::vector<Runnable> runnable_;
  std::vector<GradeTask> grade_tasks_;
};

}  // namespace attnrl::scheduler
