// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "services/rollout_worker/engine/request.h"
#include "services/rollout_worker/engine/step_plan.h"

namespace attnrl::model {
class Transformer;
}

namespace attnrl::rollout {

// Logits of a step, on the host: row i belongs to sequence i of the plan. Valid until the runner's
// next call.
struct LogitRows {
  std::span<const float> values;  // float32 [rows, vocabulary]
  int64_t vocabulary = 0;

  std::span<const float> Row(size_t row) const {
    const size_t width = static_cast<size_t>(vocabulary);
    return values.subspan(row * width, width);
  }
};

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
  // The weights of the following steps. The caller ensures that no slot holds the work of other
  // weights.
  virtual void UseModel(std::shared_ptr<const model::Transformer> weights) = 0;
  // Computes a plan that isn't empty. An error leaves the slots of the plan undefined.
  virtual absl::StatusOr<LogitRows> Run(const StepPlan& plan) = 0;
  // Attention scores of sequences that have ended, under the weights in use: one a request.
  virtual absl::StatusOr<std::vector<StepScores>> Score(std::span<const ScoreRequest> requests) = 0;
  // Ids in prompts must be below this.
  virtual int64_t vocabulary() const = 0;
};

}  // namespace attnrl::rollout
