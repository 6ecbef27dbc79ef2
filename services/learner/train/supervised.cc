// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/supervised.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>
#include <utility>

#include "common/base/philox.h"
#include "services/learner/schedule/learning_rate.h"
#include "services/learner/train/library_error.h"
#include "services/learner/train/pass.h"
#include "services/learner/train/pass_gradient.h"

namespace attnrl::learner {

double LearningRateAt(const SupervisedOptions& options, int64_t step) {
  const double peak = options.adamw.learning_rate;
  if (step < options.warmup) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(options.warmup);
  }
  if (options.schedule == LearningRateSchedule::kConstant) return peak;
  const double span = static_cast<double>(std::max<int64_t>(1, options.steps - options.warmup));
  const double progress = static_cast<double>(step - options.warmup) / span;
  return peak * ShareOfPeak(Decay::kCosine, 0.1, progress);
}

SupervisedTrainer::SupervisedTrainer(const model::ModelConfig& config, model::Tensors weights,
                                     const std::vector<SupervisedExample>& examples,
                                     const SupervisedOptions& options)
    : examples_(examples),
      options_(options),
      parameters_(std::move(weights), model::DType::kFloat32),
      transformer_(config, parameters_.leaves()) {}

std::vector<size_t> SupervisedTrainer::NextBatch() {
  std::vector<size_t> batch;
  while (static_cast<int64_t>(batch.size()) < options_.batch) {
    if (next_ == order_.size()) {
      order_.resize(examples_.size());
      std::iota(order_.begin(), order_.end(), size_t{0});
      RandomStream random({.seed = options_.seed, .purpose = kShuffleData, .batch = epoch_++});
      for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.Below(i)]);
      next_ = 0;
    }
    batch.push_back(order_[next_++]);
  }
  return batch;
}

absl::StatusOr<SupervisedStep> SupervisedTrainer::Step() {
  try {
    return TrainOn(NextBatch());
  } catch (const std::exception& error) {
    return LibraryError("training step", error);
  }
}

SupervisedStep SupervisedTrainer::TrainOn(const std::vector<size_t>& batch) {
  std::vector<PassSequence> sequences;
  double trained = 0;
  for (size_t index : batch) {
    sequences.push_back({examples_[index].prompt, examples_[index].response});
    trained += static_cast<double>(examples_[index].response.size());
  }
  SupervisedStep step;
  step.learning_rate = LearningRateAt(options_, step_++);
  parameters_.ZeroGradient();
  at::Tensor sum;  // of log-probs
  for (const std::vector<size_t>& indices :
       PlanPasses(sequences, Prefixes::kEach, options_.max_rows)) {
    std::vector<PassSequence> members;
    for (size_t i : indices) members.push_back(sequences[i]);
    const Pass pass = MakePass(members, Prefixes::kEach, parameters_.values().device());
    PassGradient gradient(transformer_, parameters_, pass, {.temperature = options_.temperature});
    const at::Tensor& logprobs = gradient.scores().logprobs;
    const at::Tensor of_pass = logprobs.sum(at::kDouble);
    sum = sum.defined() ? sum + of_pass : of_pass;
    step.tokens += pass.ids.numel();
    gradient.Backward(at::full_like(logprobs, -1 / trained), at::Tensor());
  }
  step.loss = -sum.item<double>() / trained;
  step.grad_norm = ClipGradient(parameters_, options_.max_grad_norm);
  step.skipped = !std::isfinite(step.loss) || !std::isfinite(step.grad_norm);
  if (step.skipped) return step;
  AdamWOptions adamw = options_.adamw;
  adamw.learning_rate = step.learning_rate;
  AdamWStep(adamw, ++updates_, parameters_);
  parameters_.Refresh();
  return step;
}

}  // namespace attnrl::learner
