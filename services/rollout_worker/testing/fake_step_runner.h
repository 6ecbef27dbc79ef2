// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/rollout_worker/engine/step_runner.h"

namespace attnrl::rollout {

// The next-token logits of a made-up model, float32 [vocabulary]: a pure function of the weights'
// number and of every token before, so that any mistake in slots or positions changes them.
std::vector<float> FakeLogits(uint64_t weights, const std::vector<int64_t>& tokens,
                              int64_t vocabulary);

// The score of a token in a sequence: shows the weights, the token and its place.
float FakeScore(uint64_t weights, int32_t token, size_t position);

// A model without tensors, for tests of the stepper and the engine. Its KV cache is the list of
// tokens in each slot; it fails a plan that does not continue exactly what the slot holds.
class FakeStepRunner final : public StepRunner {
 public:
  FakeStepRunner(int64_t slots, int64_t vocabulary)
      : slots_(static_cast<size_t>(slots)), vocabulary_(vocabulary) {}

  // A pointer that UseModel takes for the made-up weights `number`; points to nothing usable.
  static std::shared_ptr<const model::Transformer> Weights(uint64_t number);

  void UseModel(std::shared_ptr<const model::Transformer> weights) override;
  absl::StatusOr<LogitRows> Run(const StepPlan& plan) override;
  // Every token is a step; a score is that of FakeScore.
  absl::StatusOr<std::vector<StepScores>> Score(std::span<const ScoreRequest> requests) override;
  int64_t vocabulary() const override { return vocabulary_; }

  // The next Run fails with this.
  void FailNext(absl::Status status) { failure_ = std::move(status); }
  uint64_t weights() const { return weights_; }
  int64_t largest_step() const { return largest_step_; }
  int64_t rows() const { return rows_; }  // computed so far

 private:
  std::vector<std::vector<int64_t>> slots_;
  const int64_t vocabulary_;
  uint64_t weights_ = 0;
  int64_t largest_step_ = 0;
  int64_t rows_ = 0;
  absl::Status failure_ = absl::OkStatus();
  std::vector<float> logits_;
};

}  // namespace attnrl::rollout
