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
// number and of every token before, so that any mistake in blocks or positions changes them.
std::vector<float> FakeLogits(uint64_t weights, const std::vector<int64_t>& tokens,
                              int64_t vocabulary);

// The score of a token in a sequence: shows the weights, the token and its place.
float FakeScore(uint64_t weights, int32_t token, size_t position);

// A model without tensors, for tests of the stepper and the engine. Its KV cache is the token at
// each place of each block, with the weights that stored it; it fails a plan that reads a place
// that was never written or was written by other weights.
class FakeStepRunner final : public StepRunner {
 public:
  FakeStepRunner(int64_t blocks, int64_t vocabulary)
      : places_(static_cast<size_t>(blocks) * attention::kBlockTokens), vocabulary_(vocabulary) {}

  // The made-up weights `number`; points to nothing usable.
  static std::shared_ptr<const model::Transformer> Weights(uint64_t number);

  absl::StatusOr<std::vector<SampledToken>> Run(const StepPlan& plan,
                                                const model::Transformer& weights) override;
  // Every token is a step; a score is that of FakeScore.
  absl::StatusOr<std::vector<StepScores>> Score(std::span<const ScoreRequest> requests,
                                                const model::Transformer& weights) override;
  int64_t vocabulary() const override { return vocabulary_; }
  int64_t blocks() const override {
    return static_cast<int64_t>(places_.size()) / attention::kBlockTokens;
  }

  // The next Run fails with this.
  void FailNext(absl::Status status) { failure_ = std::move(status); }
  // Sequences that begin with this token have logits that are not finite.
  void Poison(int32_t first_token) { poison_ = first_token; }
  // Weights of all runs so far, the last one last.
  const std::vector<uint64_t>& weights_run() const { return weights_run_; }
  int64_t largest_run() const { return largest_run_; }
  int64_t rows() const { return rows_; }  // computed so far

 private:
  struct Place {
    int64_t token = -1;
    uint64_t weights = 0;
  };
  absl::Status Store(const StepPlan& plan, uint64_t weights);

  std::vector<Place> places_;
  const int64_t vocabulary_;
  std::vector<uint64_t> weights_run_;
  int64_t largest_run_ = 0;
  int64_t rows_ = 0;
  absl::Status failure_ = absl::OkStatus();
  int64_t poison_ = -1;
};

}  // namespace attnrl::rollout
