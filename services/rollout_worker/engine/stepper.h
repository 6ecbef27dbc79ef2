// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "services/rollout_worker/engine/admission.h"
#include "services/rollout_worker/engine/kv_pool.h"
#include "services/rollout_worker/engine/request.h"
#include "services/rollout_worker/engine/sampler.h"
#include "services/rollout_worker/engine/step_plan.h"
#include "services/rollout_worker/engine/step_runner.h"

namespace attnrl::rollout {

struct StepperOptions {
  int64_t slots = 64;                 // sequences decoded at once
  int64_t max_tokens = 0;             // prompt and response of a sequence
  int64_t max_prefill_tokens = 2048;  // prompt tokens computed in one step, see AdmissionView
  int64_t max_waiting = 1 << 16;      // requests without a slot; more are refused
  // A sequence that shares at least this many first tokens with another one copies their KV rows.
  int64_t min_shared_prefix = 16;
};

// What one step did, for metrics.
struct StepReport {
  uint32_t version = 0;
  int64_t prefill_rows = 0;
  int64_t decode_rows = 0;
  int64_t sampled_tokens = 0;
  int64_t reused_tokens = 0;  // prompt tokens copied instead of computed
  int64_t used_slots = 0;     // after the step
  absl::Duration duration = absl::ZeroDuration();
};

// The engine without its thread: sequences, their slots, and one step of continuous batching at a
// time. Each step gives free slots to waiting sequences (ChooseAdmissions), computes their prompts
// together with one new token of every running sequence, samples, scores the attention of what has
// ended where that is wanted, and completes it. A prompt that begins like another sequence in a
// slot (the other responses of a problem, the other children of a response) is computed from where
// they part; if that other one is only now computed, it waits for the next step.
// One thread. Memory: max_waiting requests, the slots' sequences, and the weights that were set.
class Stepper {
 public:
  // `runner` and `clock` must outlive this.
  Stepper(const StepperOptions& options, StepRunner& runner, const Clock& clock);

  // Queues a request; `done` is called from a later Step or Abort. INVALID_ARGUMENT for a request
  // that can never run, RESOURCE_EXHAUSTED when max_waiting are queued, ALREADY_EXISTS for an id in
  // use: `done` is not called then.
  absl::Status Submit(Request request, CompletionCallback done);
  // Ends a request with CANCELLED and frees its slot. False when there is none with this id.
  bool Abort(uint64_t id);
  void AbortAll();

  // Weights for sequences of `version`; replaces what was set before for later admissions.
  void SetWeights(uint32_t version, std::shared_ptr<const model::Transformer> weights);
  // Forgets them; sequences in slots go on, waiting ones wait for the next SetWeights.
  void DropWeights(uint32_t version);

  // One step. False when there is nothing to do (nothing runs and nothing can be admitted).
  bool Step();
  // What the last step did.
  const StepReport& report() const { return report_; }

  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t running() const { return pool_.used(); }
  const KvPool& pool() const { return pool_; }

 private:
  struct Sequence {
    Request request;
    CompletionCallback done;
    Completion result;
    int64_t cached = 0;  // tokens in the KV slot
    // Its prompt is computed, so every further step is one token.
    bool decodes() const { return !result.token_ids.empty(); }
  };
  struct Prefix {
    int64_t slot = 0;
    int64_t tokens = 0;
  };

  void Admit();
  StepPlan Plan() const;
  void PlanPrompts(StepPlan* plan) const;
  // The longest beginning of this slot's prompt that another slot holds; 0 tokens: none.
  Prefix SharedPrefix(int64_t slot) const;
  static int64_t SharedTokens(const Sequence& sequence, const std::vector<int32_t>& prompt);
  void Accept(const PlannedSequence& planned, std::span<const float> logits);
  // Scores the ended sequences that want it, then completes all of them.
  void FinishEnded();
  void Finish(std::unique_ptr<Sequence> sequence, absl::Status status);
  void FinishSlot(int64_t slot, absl::Status status);
  absl::Status Check(const Request& request) const;
  bool WeightsReady(uint32_t version) const;

  const StepperOptions options_;
  StepRunner& runner_;
  const Clock& clock_;
  Sampler sampler_;
  KvPool pool_;
  std::deque<std::unique_ptr<Sequence>> waiting_;  // in order of arrival
  std::vector<std::unique_ptr<Sequence>> slots_;   // null where free
  std::map<uint32_t, std::shared_ptr<const model::Transformer>> weights_;
  std::vector<int64_t> ended_;                        // slots whose response ended in this step
  std::optional<uint32_t> version_;                   // of the sequences in slots
  std::shared_ptr<const model::Transformer> in_use_;  // what the runner was last given
  std::set<uint64_t> ids_;                            // of waiting and running sequences
  StepReport report_;
};

}  // namespace attnrl::rollout
