// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "services/rollout_worker/engine/online_scores.h"
#include "services/rollout_worker/engine/request.h"
#include "services/rollout_worker/engine/step_plan.h"

namespace attnrl::model {
class Transformer;
}

namespace attnrl::rollout {

// A whole sequence whose steps are to be scored; what it points to outlives the call.
struct ScoreRequest {
  std::span<const int32_t> prompt;
  std::span<const int32_t> response;
  uint32_t delta = 4;
};

// Runs planned steps on a model; owns the KV cache. All calls come from one thread. runner.h has
// the one with LibTorch, tests have simpler ones.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  // Called once, on the thread that makes all further calls.
  virtual void Begin() {}
  // Computes a plan that isn't empty with these weights and draws its tokens: one for each of its
  // samples, in their order. An error leaves the places of the plan's rows undefined.
  virtual absl::StatusOr<std::vector<SampledToken>> Run(const StepPlan& plan,
                                                        const model::Transformer& weights) = 0;
  // Scores that come on the way, for a sequence with this prompt: then its rows of the response are
  // in StepPlan::scored. Null where they are to be had by Score alone.
  virtual std::unique_ptr<OnlineScores> StartScores(int64_t /*prompt_tokens*/, uint32_t /*delta*/) {
    return nullptr;
  }
  // Attention scores of sequences that have ended, under their weights: one a request.
  virtual absl::StatusOr<std::vector<StepScores>> Score(std::span<const ScoreRequest> requests,
                                                        const model::Transformer& weights) = 0;
  // These weights go, which no running sequence needs any more: what was made for them goes first.
  virtual void Forget(const model::Transformer* /*weights*/) {}
  // Ids in prompts must be below this.
  virtual int64_t vocabulary() const = 0;
  // Blocks of the KV cache.
  virtual int64_t blocks() const = 0;
};

}  // namespace attnrl::rollout
