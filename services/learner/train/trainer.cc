// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "services/learner/train/library_error.h"
#include "services/learner/train/minibatch.h"
#include "services/learner/train/pass_gradient.h"

namespace attnrl::learner {
namespace {

using scheduler::TrainingBatch;
using scheduler::TrainingSample;

// Fills behaviour log-probs, advantages and weights of every token of a pass.
void FillTargets(const std::vector<const TrainingSample*>& samples, Aggregation aggregation,
                 const at::Device& device, ObjectiveInputs* inputs) {
  std::vector<float> behaviour, advantages, weights;
  for (const TrainingSample* sample : samples) {
    behaviour.insert(behaviour.end(), sample->logprobs.begin(), sample->logprobs.end());
    for (const scheduler::AdvantageRun& run : sample->advantages) {
      advantages.insert(advantages.end(), run.tokens, static_cast<float>(run.advantage));
    }
  }
  inputs->behaviour = at::tensor(behaviour, at::kFloat).to(device);
  inputs->advantages = at::tensor(advantages, at::kFloat).to(device);
  if (aggregation != Aggregation::kSequenceMean) return;
  for (const TrainingSample* sample : samples) {
    const size_t tokens = sample->response_ids.size();
    weights.insert(weights.end(), tokens, 1 / static_cast<float>(tokens));
  }
  inputs->weights = at::tensor(weights, at::kFloat).to(device);
}

// What the sum over a minibatch's tokens is divided by.
double Denominator(const TrainerOptions& options,
                   const std::vector<const TrainingSample*>& samples) {
  const auto sequences = static_cast<double>(samples.size());
  switch (options.aggregation) {
    case Aggregation::kSequenceMean:
      return sequences;
    case Aggregation::kSequenceSum:
      return sequences * static_cast<double>(options.max_response_tokens);
    case Aggregation::kTokenMean:
      break;
  }
  double tokens = 0;
  for (const TrainingSample* sample : samples) {
    tokens += static_cast<double>(sample->response_ids.size());
  }
  return tokens;
}

// The samples of a minibatch that are trained.
std::vector<const TrainingSample*> Unmasked(const TrainingBatch& batch,
                                            const std::vector<size_t>& minibatch, bool mask) {
  std::vector<const TrainingSample*> samples;
  for (size_t index : minibatch) {
    const TrainingSample& sample = batch.samples[index];
    if (!mask || !sample.truncated) samples.push_back(&sample);
  }
  return samples;
}

// Samples of one pass.
struct PassSamples {
  std::vector<const TrainingSample*> samples;
  std::vector<PassSequence> sequences;
};

std::vector<PassSamples> CutIntoPasses(const std::vector<const TrainingSample*>& samples,
                                       const TrainerOptions& options) {
  std::vector<PassSequence> sequences;
  for (const TrainingSample* sample : samples) {
    sequences.push_back({sample->prompt_ids, sample->response_ids});
  }
  std::vector<PassSamples> passes;
  for (const std::vector<size_t>& members :
       PlanPasses(sequences, options.prefixes, options.max_tokens_per_pass)) {
    passes.emplace_back();
    for (size_t member : members) {
      passes.back().samples.push_back(samples[member]);
      passes.back().sequences.push_back(sequences[member]);
    }
  }
  return passes;
}

}  // namespace

struct Trainer::Totals {
  ObjectiveSums sums;
  double grad_norm = 0;
  uint32_t steps = 0;
  uint32_t nonfinite = 0;
};

Trainer::Trainer(const model::ModelConfig& config, const model::Tensors& weights,
                 model::DType compute, model::Tensors reference, const TrainerOptions& options)
    : options_(options), parameters_(weights, compute), transformer_(config, parameters_.leaves()) {
  if (options_.objective.kl_weight != 0) {
    reference_ = std::make_unique<model::Transformer>(config, std::move(reference));
  }
}

std::vector<std::vector<size_t>> Trainer::Minibatches(const TrainingBatch& batch) const {
  std::vector<SamplePlace> places;
  for (const TrainingSample& sample : batch.samples) {
    places.push_back({sample.position, sample.response});
  }
  return CutMinibatches(places, {.seed = options_.seed,
                                 .batch = batch.batch,
                                 .minibatch_problems = options_.minibatch_problems,
                                 .steps_per_batch = options_.steps_per_batch,
                                 .initial_responses = options_.initial_responses});
}

ObjectiveSums Trainer::RunPass(const std::vector<const TrainingSample*>& samples,
                               const std::vector<PassSequence>& sequences, double denominator) {
  const at::Device device = parameters_.values().device();
  const Pass pass = MakePass(sequences, options_.prefixes, device);
  ObjectiveInputs inputs;
  FillTargets(samples, options_.aggregation, device, &inputs);
  if (proximal_.contains(samples.front())) {
    std::vector<at::Tensor> proximal;
    for (const TrainingSample* sample : samples) proximal.push_back(proximal_.at(sample));
    inputs.proximal = at::cat(proximal);
  }
  if (reference_ != nullptr) {
    inputs.reference =
        ScorePass(*reference_, pass, options_.temperature, /*entropy=*/false).logprobs;
  }
  PassGradient gradient(transformer_, parameters_, pass,
                        {.temperature = options_.temperature, .checkpoint = options_.checkpoint});
  const bool entropy = options_.objective.entropy_weight != 0;
  inputs.logprobs = gradient.scores().logprobs.detach().set_requires_grad(true);
  inputs.entropy = gradient.scores().entropy.detach().set_requires_grad(entropy);
  ObjectiveSums sums;
  ObjectiveLoss(options_.objective, inputs, denominator, &sums).backward();
  gradient.Backward(inputs.logprobs.grad(), entropy ? inputs.entropy.grad() : at::Tensor());
  sums.distinct_tokens = pass.distinct_tokens;
  rows_ += pass.ids.numel();
  return sums;
}

absl::StatusOr<ObjectiveSums> Trainer::Gradient(const TrainingBatch& batch,
                                                const std::vector<size_t>& minibatch,
                                                const std::function<bool()>& abandon) {
  const std::vector<const TrainingSample*> samples =
      Unmasked(batch, minibatch, options_.mask_truncated);
  const double denominator = Denominator(options_, samples);
  ObjectiveSums sums;
  try {
    parameters_.ZeroGradient();
    for (const PassSamples& pass : CutIntoPasses(samples, options_)) {
      if (abandon && abandon()) return absl::CancelledError("training was abandoned");
      sums.Add(RunPass(pass.samples, pass.sequences, denominator));
    }
  } catch (const std::exception& error) {
    return LibraryError("training pass", error);
  }
  return sums;
}

absl::Status Trainer::MeasureProximal(const TrainingBatch& batch,
                                      const std::vector<std::vector<size_t>>& minibatches,
                                      const std::function<bool()>& abandon) {
  proximal_.clear();
  if (options_.objective.correction == Correction::kBehaviour) return absl::OkStatus();
  const at::Device device = parameters_.values().device();
  try {
    // The first minibatch is trained with the policy as it is now.
    for (size_t m = 1; m < minibatches.size(); ++m) {
      for (const PassSamples& members :
           CutIntoPasses(Unmasked(batch, minibatches[m], options_.mask_truncated), options_)) {
        if (abandon && abandon()) return absl::CancelledError("training was abandoned");
        const Pass pass = MakePass(members.sequences, options_.prefixes, device);
        rows_ += pass.ids.numel();
        const at::Tensor logprobs =
            ScorePass(transformer_, pass, options_.temperature, /*entropy=*/false).logprobs;
        int64_t first = 0;
        for (const TrainingSample* sample : members.samples) {
          const auto tokens = static_cast<int64_t>(sample->response_ids.size());
          proximal_[sample] = logprobs.narrow(0, first, tokens);
          first += tokens;
        }
      }
    }
  } catch (const std::exception& error) {
    return LibraryError("log-probs before training", error);
  }
  return absl::OkStatus();
}

absl::Status Trainer::Update(const TrainingBatch& batch, const std::vector<size_t>& minibatch,
                             const std::function<bool()>& abandon, Totals* totals) {
  ATTNRL_ASSIGN_OR_RETURN(const ObjectiveSums sums, Gradient(batch, minibatch, abandon));
  if (sums.tokens == 0) return absl::OkStatus();  // every sample was masked
  try {
    const double norm = ClipGradient(parameters_, options_.max_grad_norm);
    if (!std::isfinite(sums.loss) || !std::isfinite(norm)) {
      ++totals->nonfinite;
      ++counters_.nonfinite;
      return absl::OkStatus();
    }
    AdamWOptions adamw = options_.adamw;
    adamw.learning_rate = LearningRate(batch.batch);
    AdamWStep(adamw, ++counters_.updates, parameters_);
    parameters_.Refresh();
    totals->grad_norm += norm;
  } catch (const std::exception& error) {
    return LibraryError("optimizer step", error);
  }
  ++totals->steps;
  totals->sums.Add(sums);
  return absl::OkStatus();
}

// A pure function of the batch, so that a resumed run goes on where it was.
double Trainer::LearningRate(uint32_t batch) const {
  const double peak = options_.adamw.learning_rate;
  if (batch < options_.warmup_steps) {
    return peak * (static_cast<double>(batch) + 1) / static_cast<double>(options_.warmup_steps + 1);
  }
  if (options_.decay_after == 0 || batch < options_.decay_after) return peak;
  const double fallen = static_cast<double>(batch - options_.decay_after + 1) /
                        static_cast<double>(options_.decay_steps);
  return peak * std::max(0.1, 1 - 0.9 * fallen);
}

absl::StatusOr<scheduler::TrainStatistics> Trainer::Train(const TrainingBatch& batch,
                                                          const std::function<bool()>& abandon) {
  Totals totals;
  const std::vector<std::vector<size_t>> minibatches = Minibatches(batch);
  ATTNRL_RETURN_IF_ERROR(MeasureProximal(batch, minibatches, abandon));
  for (const std::vector<size_t>& minibatch : minibatches) {
    ATTNRL_RETURN_IF_ERROR(Update(batch, minibatch, abandon, &totals));
  }
  proximal_.clear();
  const bool none = totals.sums.tokens == 0;
  const double tokens = static_cast<double>(totals.sums.tokens);
  const auto mean = [none, tokens](double sum) { return none ? NAN : sum / tokens; };
  scheduler::TrainStatistics statistics;
  statistics.loss = mean(totals.sums.loss);
  statistics.kl = reference_ != nullptr ? mean(totals.sums.kl) : NAN;
  statistics.entropy = mean(totals.sums.entropy);
  statistics.ratio_max = none ? NAN : totals.sums.ratio_max;
  statistics.clip_low = mean(totals.sums.clipped_low);
  statistics.clip_high = mean(totals.sums.clipped_high);
  statistics.grad_norm = totals.steps > 0 ? totals.grad_norm / totals.steps : NAN;
  statistics.learning_rate = LearningRate(batch.batch);
  statistics.trained_tokens = static_cast<uint64_t>(totals.sums.distinct_tokens);
  statistics.trained_tokens_unpacked = static_cast<uint64_t>(totals.sums.tokens);
  statistics.optimizer_steps = totals.steps;
  statistics.nonfinite_steps = totals.nonfinite;
  return statistics;
}

}  // namespace attnrl::learner
