// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "services/rollout_worker/engine/block_pool.h"
#include "services/rollout_worker/engine/prefix_cache.h"
#include "services/rollout_worker/engine/request.h"
#include "services/rollout_worker/engine/sequence.h"
#include "services/rollout_worker/engine/step_plan.h"
#include "services/rollout_worker/engine/step_runner.h"
#include "services/rollout_worker/engine/waiting_line.h"

namespace attnrl::rollout {

struct StepperOptions {
  int64_t slots = 64;             // sequences decoded at once
  int64_t max_tokens = 0;         // prompt and response of a sequence
  int64_t max_step_rows = 2048;   // tokens computed in one step; prompts are cut to fit
  int64_t max_waiting = 1 << 16;  // requests that wait; more are refused
  int64_t resident_versions = 2;  // versions that run at once
};

// What one step did, for metrics.
struct StepReport {
  uint32_t version = 0;  // the oldest of those that ran
  int64_t prefill_rows = 0;
  int64_t decode_rows = 0;
  int64_t attended = 0;  // keys that the rows' queries see, over all rows
  int64_t sampled_tokens = 0;
  int64_t reused_tokens = 0;  // prompt tokens that didn't have to be computed
  int64_t preempted = 0;      // sequences that gave their blocks back for want of room
  int64_t running = 0;        // sequences after the step
  int64_t text_blocks = 0;    // after the step: of texts, in use or only kept
  int64_t own_blocks = 0;     // of single sequences
  int64_t free_blocks = 0;
  absl::Duration duration = absl::ZeroDuration();
};

// The engine without its thread: sequences, their blocks, and one step of continuous batching at a
// time. A step admits waiting sequences while there are slots and blocks, computes one new token of
// every running sequence and, up to max_step_rows, what is missing of shared texts and prompts,
// draws tokens, scores the attention of what has ended where that is wanted, and completes it.
// Without free blocks, first the texts that nobody uses go, then the sequence admitted last waits
// again; it is computed anew from its tokens and goes on where it was.
// One thread. Memory: max_waiting requests, the running sequences, and the weights that were set.
class Stepper {
 public:
  // `runner` and `clock` must outlive this.
  Stepper(const StepperOptions& options, StepRunner& runner, const Clock& clock);
  ~Stepper();

  // Queues a request; `done` is called from a later Step or Abort. INVALID_ARGUMENT for a request
  // that can never run, RESOURCE_EXHAUSTED when max_waiting are queued, ALREADY_EXISTS for an id in
  // use: `done` is not called then.
  absl::Status Submit(Request request, CompletionCallback done);
  // Ends a request with CANCELLED and frees its blocks. False when there is none with this id.
  bool Abort(uint64_t id);
  void AbortAll();

  // Weights for sequences of `version`; replaces what was set before for later admissions.
  void SetWeights(uint32_t version, std::shared_ptr<const model::Transformer> weights);
  // Forgets them and what they computed; running sequences go on, waiting ones wait for the next
  // SetWeights.
  void DropWeights(uint32_t version);

  // One step. False when there is nothing to do (nothing runs and nothing can be admitted).
  bool Step();
  // What the last step did.
  const StepReport& report() const { return report_; }

  // Tokens sampled so far by each sequence in a slot, by request.
  std::map<uint64_t, uint64_t> Progress() const;

  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  const BlockPool& pool() const { return pool_; }
  // For tests: distinct blocks that running sequences and kept texts reach, which must be all that
  // are taken.
  int64_t ReachableBlocks() const;

 private:
  using Running = std::vector<std::unique_ptr<Sequence>>;

  absl::Status Check(const Request& request) const;
  // Admission.
  void Admit();
  std::shared_ptr<VersionWeights> WeightsOf(const Sequence& sequence) const;
  absl::Status Place(Sequence& sequence, std::span<const SharedPrefix> shared);
  static void Unplace(Sequence& sequence);
  void MakeRoom();
  void Preempt();
  // Planning.
  void ChooseRows();
  int64_t ChooseText(Sequence& sequence, int64_t budget, bool* complete);
  void AddRows(Sequence& sequence);
  void AddText(const std::shared_ptr<Prefix>& prefix);
  // Running.
  void RunWeights(size_t begin, size_t end);
  void Accept(Sequence& sequence, const SampledToken& token);
  void FinishEnded();
  void FinishEnded(std::span<Sequence* const> ended);
  void Fail(size_t begin, size_t end, const absl::Status& status);
  void RemoveEnded();
  void Finish(std::unique_ptr<Sequence> sequence, absl::Status status);

  const StepperOptions options_;
  StepRunner& runner_;
  const Clock& clock_;
  BlockPool pool_;
  PrefixCache prefixes_{pool_};
  WaitingLine waiting_;
  Running running_;  // as StandsBefore orders them
  std::map<uint32_t, std::shared_ptr<VersionWeights>> weights_;
  std::unordered_set<uint64_t> ids_;  // of waiting and running sequences
  uint64_t next_arrival_ = 0;
  uint64_t next_admission_ = 0;
  uint64_t next_weights_ = 0;
  // Of the step.
  StepPlan plan_;
  std::vector<Sequence*> sampled_;  // one for each of plan_.samples
  std::vector<Sequence*> scored_;   // one for each of plan_.scored
  std::vector<Sequence*> ended_;
  std::map<Sequence*, absl::Status> failed_;
  StepReport report_;
};

}  // namespace attnrl::rollout
