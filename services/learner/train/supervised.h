// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/model/transformer.h"
#include "services/learner/parameters/adamw.h"
#include "services/learner/parameters/parameters.h"

namespace attnrl::learner {

// A prompt, which is not trained, and the response behind it, which is. Both at least one token;
// the response ends with the end token.
struct SupervisedExample {
  std::vector<int32_t> prompt;
  std::vector<int32_t> response;
};

enum class LearningRateSchedule { kConstant, kCosine };

struct SupervisedOptions {
  int64_t steps = 1000;
  int64_t batch = 10;   // sequences an optimizer step
  int64_t warmup = 50;  // steps in which the learning rate rises linearly
  uint64_t seed = 0;    // of the order of the examples
  double max_grad_norm = 1;
  // Of the softmax in the loss, > 0: the model fits its data when sampled at this temperature, and
  // is less sure of it at 1 if this is below 1.
  double temperature = 1;
  int64_t max_rows = 16384;                                       // of one pass
  LearningRateSchedule schedule = LearningRateSchedule::kCosine;  // down to a tenth at the end
  AdamWOptions adamw{.learning_rate = 2e-3, .beta2 = 0.98, .weight_decay = 0.05};
};

// The learning rate of step `step` (from 0).
double LearningRateAt(const SupervisedOptions& options, int64_t step);

struct SupervisedStep {
  double loss = 0;  // mean negative log-prob of the step's response tokens, nats
  double grad_norm = 0;
  double learning_rate = 0;
  int64_t tokens = 0;    // prompt and response tokens computed
  bool skipped = false;  // loss or gradient was not finite: no update
};

// Supervised training of a model in float32: every example once an epoch, in an order shuffled by
// (seed, epoch). The same examples, options, weights and thread count give the same bits. One
// thread calls it.
class SupervisedTrainer {
 public:
  // `examples` must not be empty and outlives the trainer.
  SupervisedTrainer(const model::ModelConfig& config, model::Tensors weights,
                    const std::vector<SupervisedExample>& examples,
                    const SupervisedOptions& options);

  // The next optimizer step. An error is what LibTorch said (out of memory, for one).
  absl::StatusOr<SupervisedStep> Step();

  // The weights as they are now, float32, own memory.
  model::Tensors Weights() const { return parameters_.Published(); }
  int64_t parameters() const { return parameters_.layout().parameters(); }

 private:
  std::vector<size_t> NextBatch();
  SupervisedStep TrainOn(const std::vector<size_t>& batch);

  const std::vector<SupervisedExample>& examples_;
  const SupervisedOptions options_;
  Parameters parameters_;
  model::Transformer transformer_;
  std::vector<size_t> order_;  // of this epoch
  size_t next_ = 0;            // into order_
  uint32_t epoch_ = 0;
  int64_t step_ = 0;     // steps tried
  int64_t updates_ = 0;  // optimizer steps taken
};

}  // namespace attnrl::learner
