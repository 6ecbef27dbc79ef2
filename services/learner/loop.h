// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/version.h"
#include "common/pipeline/schedule.h"
#include "services/branch_scheduler/client/batch_source.h"
#include "services/learner/checkpoint/checkpoint.h"
#include "services/learner/nonfinite.h"
#include "services/learner/train/trainer.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {

struct LoopOptions {
  // Of this process and no other: the scheduler refuses whichever learner has an older one.
  std::string name = "learner";
  pipeline::Schedule schedule = {};
  int64_t checkpoint_every = 10;
  int64_t checkpoints_kept = 3;
  int64_t checkpoints_best = 1;
  // Batches from which on the problems are those of another data set.
  std::set<uint32_t> new_data = {};
  // Configuration and tokenizer of the model, copied into every checkpoint.
  std::string model_folder = {};
  // Where batches with a step that is not finite are kept; empty: nowhere.
  std::string nonfinite_folder = {};
  // Batches in a row with no other steps than such, after which the loop ends.
  int64_t max_nonfinite_batches = 10;
  // After Stop, training and commit of the current batch may take this long before it is abandoned.
  absl::Duration stop_grace = absl::Seconds(8);
};

// One batch done, for logs and /metrics.
struct StepReport {
  uint32_t batch = 0;
  Version version = {};
  bool replayed = false;
  bool mismatch = false;                    // the replay ended with other bits than were published
  std::optional<uint32_t> checkpoint = {};  // became complete since the step before
  double checkpoint_pause_seconds = 0;      // training stood still for it: copies, and the disk
  uint32_t samples = 0;
  double reward_mean = 0;                  // over the samples trained; NaN where there are none
  std::map<uint32_t, uint64_t> lags = {};  // lag -> samples whose oldest token has it
  scheduler::TrainStatistics statistics = {};
};

// What the learner tells about itself while it runs. Called from the loop's thread.
class LoopObserver {
 public:
  virtual ~LoopObserver() = default;
  // Told every few seconds while the batch isn't ready.
  virtual void Waiting(uint32_t batch, const std::string& reason) = 0;
  // The batch doesn't follow the schedule; the loop ends with `status`.
  virtual void Refused(uint32_t batch, const absl::Status& status) = 0;
  virtual void Done(const StepReport& report) = 0;
};

// The learner's life: asks for batch b, trains W(b) to W(b+1), makes it durable, announces and
// commits it, b = b + 1. From the checkpoint that it starts at, batches whose version is published
// already are trained again only to regain the optimizer's state (their published bits stay what
// they are); batches without samples publish the bits of the version before. Checkpoints: step 0 at
// the start, every `checkpoint_every` steps, where the run ends, and after Stop. One is written
// while training goes on, and waited for where the next one begins, and at the end.
//
// Prepare, then Run, once each, from one thread. Run returns when the run has ended (OK), after
// Stop (OK) or with the first error; whatever was committed by then is durable. ABORTED: another
// learner has taken over.
class LearnerLoop {
 public:
  // All references outlive the loop.
  LearnerLoop(LoopOptions options, Trainer& trainer, CheckpointStore& checkpoints,
              VersionStore& versions, scheduler::BatchSource& batches, const Clock& clock,
              LoopObserver& observer);

  // Loads the checkpoint that FindResumePoint has found into the trainer, or makes step 0 of the
  // trainer as it is.
  absl::Status Prepare(const std::optional<CheckpointInfo>& start);
  absl::Status Run();
  // After Run: whether that was the end of the run, not Stop.
  bool finished() const { return finished_; }
  // Ends Run soon, from any thread, also before Run: waiting ends at once, a batch in training gets
  // `stop_grace`.
  void Stop();

 private:
  // From here on the scheduler refuses every earlier learner.
  absl::Status Register();
  absl::StatusOr<bool> Step();  // false: the run has ended
  absl::Status Recommit();
  // Whether the bits of a version are intact, as far as nobody has looked yet.
  absl::StatusOr<bool> CanServe(uint32_t number);
  absl::StatusOr<scheduler::TrainingBatch> Ask(double* wait_seconds);
  // While the scheduler is waited for: the other ranks wait too. Ends the wait where one is gone.
  void KeepRanksAlive(absl::Status* ranks);
  absl::Status Train(const scheduler::TrainingBatch& batch, StepReport* report);
  // The bits of W(next_) and, in `report`, their version. Of a replay null where they were
  // published, can't be made again and are pruned.
  using Bits = std::shared_ptr<const VersionData>;
  absl::StatusOr<Bits> NewBits(const scheduler::TrainingBatch& batch, StepReport* report);
  absl::StatusOr<Bits> ReplayedBits(const scheduler::TrainingBatch& batch, StepReport* report);
  absl::Status MakeDurable(const scheduler::TrainingBatch& batch, StepReport* report);
  absl::StatusOr<scheduler::CommitReply> Commit(const StepReport& report);
  // Begins the checkpoint of the trainer's state, whose published version is durable.
  absl::Status BeginCheckpoint(Bits bits);
  // Takes note of the checkpoint begun last once it is complete; `wait`: waits for that.
  absl::Status TakeCheckpoint(bool wait, StepReport* report);
  absl::Status CheckpointHere();
  absl::Status Prune(uint32_t oldest_needed);
  // Around a call that Stop may cancel. CANCELLED when it has been called.
  absl::Status SetAsking(bool asking);
  bool Stopped();
  bool Abandon();

  const LoopOptions options_;
  Trainer& trainer_;
  CheckpointStore& checkpoints_;
  VersionStore& versions_;
  scheduler::BatchSource& batches_;
  const Clock& clock_;
  LoopObserver& observer_;

  NonfiniteGuard guard_;
  uint32_t next_ = 0;                          // the trainer holds the state of W(next_)
  uint32_t checkpoint_ = 0;                    // newest complete checkpoint
  std::optional<Stopwatch> checkpoint_watch_;  // of the one begun last
  bool finished_ = false;                      // true: the run has ended
  bool torn_ = false;                          // true: in the middle of a batch that was abandoned
  scheduler::TrainStatistics statistics_;      // of batch next_ - 1
  RecentAccuracy accuracy_;                    // up to and with it

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;  // the loop waits for the scheduler's answer
  absl::Duration stop_deadline_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::learner
