// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <iterator>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "common/model/flops.h"
#include "common/observe/metrics.h"
#include "services/learner/train/library_error.h"
#include "services/learner/train/minibatch.h"
#include "services/learner/train/pass_gradient.h"

namespace attnrl::learner {
namespace {

using scheduler::TrainingBatch;
using scheduler::TrainingSample;

// What `passes` forward passes' worth of this one ask of the model.
void CountFlops(const model::ModelConfig& config, const Pass& pass, double passes) {
  observe::Count(observe::kModelFlopsTotal, {"learner"},
                 passes * model::ForwardFlops(config, {.rows = pass.ids.numel(),
                                                       .attended = pass.attended,
                                                       .logit_rows = pass.scored.numel()}));
}

// Of a minibatch in the deterministic mode: ranks are a divisor of it.
constexpr int kDeterministicParts = 4;

model::Tensors Rounded(model::Tensors weights, model::DType dtype) {
  for (auto& [name, weight] : weights) weight = weight.to(model::ToScalarType(dtype));
  return weights;
}

}  // namespace

struct Trainer::Totals {
  ObjectiveSums sums;
  double grad_norm = 0;
  uint32_t steps = 0;
  uint32_t nonfinite = 0;
};

Trainer::Trainer(const model::ModelConfig& config, model::Tensors weights, model::DType compute,
                 const TrainerOptions& options, RankGroup* group)
    : options_(options),
      reference_(options.objective.kl_weight == 0
                     ? nullptr
                     : MakeReference(config, Rounded(weights, compute), options.reference)),
      parameters_(options.lora.rank > 0 ? Rounded(std::move(weights), compute) : std::move(weights),
                  compute, group, options.deterministic ? kDeterministicParts : 0, options.lora,
                  options.moments),
      transformer_(config, parameters_.leaves()) {}

const TrainerStage& TrainerOptions::At(uint32_t batch) const {
  const auto after = later.upper_bound(batch);
  return after == later.begin() ? first : std::prev(after)->second;
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
                                 .initial_responses = options_.At(batch.batch).initial_responses});
}

Trainer::Parts Trainer::PartsOf(const Samples& samples) const {
  const Sharding& sharding = parameters_.layout().sharding();
  const auto count = static_cast<size_t>(sharding.parts / sharding.ranks);
  return {PassesByPart(samples, sharding.parts, options_.prefixes, options_.max_tokens_per_pass),
          static_cast<size_t>(sharding.rank) * count, count};
}

void Trainer::RunPass(const PassSamples& members, double denominator, PartSums* sums) {
  const at::Device device = parameters_.values().device();
  const Pass pass = MakePass(members.sequences, options_.prefixes, device);
  ObjectiveInputs inputs = TargetsOf(members.samples, options_.aggregation, device);
  if (proximal_.contains(members.samples.front())) {
    std::vector<at::Tensor> proximal;
    for (const TrainingSample* sample : members.samples) proximal.push_back(proximal_.at(sample));
    inputs.proximal = at::cat(proximal);
  }
  if (reference_ != nullptr) {
    inputs.reference = ReferenceLogprobs(*reference_, pass, options_.temperature);
  }
  PassGradient gradient(transformer_, parameters_, pass,
                        {.temperature = options_.temperature, .checkpoint = options_.checkpoint});
  const bool entropy = options_.objective.entropy_weight != 0;
  inputs.logprobs = gradient.scores().logprobs.detach().set_requires_grad(true);
  inputs.entropy = gradient.scores().entropy.detach().set_requires_grad(entropy);
  const ObjectiveTerms terms = ObjectiveLoss(options_.objective, inputs, denominator);
  terms.loss.backward();
  gradient.Backward(inputs.logprobs.grad(), entropy ? inputs.entropy.grad() : at::Tensor());
  AddMeasured(terms.measured, sums->measured);
  sums->counts.Add({.tokens = static_cast<double>(pass.targets.numel()),
                    .distinct_tokens = static_cast<double>(pass.distinct_tokens)});
  rows_ += pass.ids.numel();
  // The way back is two more.
  CountFlops(transformer_.config(), pass, reference_ != nullptr ? 4 : 3);
  observe::Count(observe::kLearnerTokensTotal, {}, static_cast<double>(pass.ids.numel()));
}

ObjectiveSums Trainer::SumOverRanks(const std::vector<PartSums>& own) {
  RankGroup* const group = parameters_.group();
  const auto count = static_cast<int64_t>(own.size());
  const int64_t ranks = group == nullptr ? 1 : group->size();
  const int64_t rank = group == nullptr ? 0 : group->rank();
  const at::Tensor rows = at::zeros({ranks, count, ObjectiveSums::kFields}, at::kDouble);
  std::vector<at::Tensor> measured;
  for (const PartSums& part : own) {
    measured.push_back(part.measured.defined()
                           ? part.measured
                           : at::zeros({ObjectiveSums::kMeasured},
                                       parameters_.gradient().options().dtype(at::kDouble)));
  }
  // The only wait for the device in a minibatch but for that of the gradient's norm.
  rows[rank].narrow(1, 0, ObjectiveSums::kMeasured).copy_(at::stack(measured));
  for (int64_t part = 0; part < count; ++part) {
    const ObjectiveSums& counts = own[static_cast<size_t>(part)].counts;
    rows[rank][part][ObjectiveSums::kMeasured] = counts.tokens;
    rows[rank][part][ObjectiveSums::kMeasured + 1] = counts.distinct_tokens;
  }
  if (group != nullptr) AllGather(*group, rows);
  ObjectiveSums sums;
  for (int64_t row = 0; row < ranks * count; ++row) {
    const double* fields = rows.const_data_ptr<double>() + row * ObjectiveSums::kFields;
    sums.Add(ObjectiveSums::FromFields(
        std::span<const double, ObjectiveSums::kFields>(fields, ObjectiveSums::kFields)));
  }
  return sums;
}

absl::StatusOr<ObjectiveSums> Trainer::Gradient(const TrainingBatch& batch,
                                                const std::vector<size_t>& minibatch,
                                                const std::function<bool()>& abandon) {
  const Samples samples = Unmasked(batch, minibatch, options_.mask_truncated);
  const double denominator =
      DenominatorOf(samples, options_.aggregation, options_.At(batch.batch).max_response_tokens);
  const Parts parts = PartsOf(samples);
  size_t most = 0;
  for (const auto& passes : parts.passes) most = std::max(most, passes.size());
  std::vector<PartSums> sums(parts.count);
  try {
    parameters_.ZeroGradient();
    for (size_t pass = 0; pass < most; ++pass) {
      for (size_t part = 0; part < parts.count; ++part) {
        if (abandon && abandon()) return absl::CancelledError("training was abandoned");
        const std::vector<PassSamples>& passes = parts.passes[parts.first + part];
        if (pass < passes.size()) {
          RunPass(passes[pass], denominator, &sums[part]);
        } else {
          parameters_.gradient_sum().SkipPass();
        }
        HandOver(/*all=*/false);
      }
    }
    return SumOverRanks(sums);
  } catch (const std::exception& error) {
    return LibraryError("training pass", error);
  }
}

absl::Status Trainer::MeasureProximal(const TrainingBatch& batch,
                                      const std::vector<std::vector<size_t>>& minibatches,
                                      const std::function<bool()>& abandon) {
  proximal_.clear();
  if (options_.objective.correction == Correction::kBehaviour) return absl::OkStatus();
  try {
    // The first minibatch is trained with the policy as it is now.
    for (size_t m = 1; m < minibatches.size(); ++m) {
      const Parts parts = PartsOf(Unmasked(batch, minibatches[m], options_.mask_truncated));
      for (size_t part = parts.first; part < parts.first + parts.count; ++part) {
        for (const PassSamples& members : parts.passes[part]) {
          if (abandon && abandon()) return absl::CancelledError("training was abandoned");
          MeasureProximal(members);
        }
      }
    }
  } catch (const std::exception& error) {
    return LibraryError("log-probs before training", error);
  }
  return absl::OkStatus();
}

void Trainer::MeasureProximal(const PassSamples& members) {
  const Pass pass = MakePass(members.sequences, options_.prefixes, parameters_.values().device());
  rows_ += pass.ids.numel();
  CountFlops(transformer_.config(), pass, 1);
  const at::Tensor logprobs =
      ScorePass(transformer_, pass, options_.temperature, /*entropy=*/false).logprobs;
  int64_t first = 0;
  for (const TrainingSample* sample : members.samples) {
    const auto tokens = static_cast<int64_t>(sample->response_ids.size());
    proximal_[sample] = logprobs.narrow(0, first, tokens);
    first += tokens;
  }
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
    HandOver(/*all=*/true);
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

double Trainer::LearningRate(uint32_t batch) const {
  return LearningRateAt(options_.rate, options_.At(batch).learning_rate, batch);
}

absl::StatusOr<scheduler::TrainStatistics> Trainer::TrainTogether(
    const TrainingBatch& batch, const std::function<bool()>& abandon) {
  Totals totals;
  const std::vector<std::vector<size_t>> minibatches = Minibatches(batch);
  ATTNRL_RETURN_IF_ERROR(MeasureProximal(batch, minibatches, abandon));
  for (const std::vector<size_t>& minibatch : minibatches) {
    ATTNRL_RETURN_IF_ERROR(Update(batch, minibatch, abandon, &totals));
  }
  proximal_.clear();
  if (totals.steps > 0) counters_.nonfinite_batches = 0;
  if (totals.steps == 0 && totals.nonfinite > 0) ++counters_.nonfinite_batches;
  const bool none = totals.sums.tokens == 0;
  const double tokens = totals.sums.tokens;
  const auto mean = [none, tokens](double sum) { return none ? NAN : sum / tokens; };
  scheduler::TrainStatistics statistics;
  statistics.loss = mean(totals.sums.loss);
  statistics.kl = reference_ != nullptr ? mean(totals.sums.kl) : NAN;
  statistics.entropy = mean(totals.sums.entropy);
  statistics.ratio_max = none ? NAN : totals.sums.ratio_max;
  statistics.clip_low = mean(totals.sums.clipped_low);
  statistics.clip_high = mean(totals.sums.clipped_high);
  const ObjectiveSums& sums = totals.sums;
  const bool caps = options_.objective.correction != Correction::kBehaviour;
  statistics.importance_mean = mean(sums.importance);
  statistics.importance_max = none ? NAN : sums.importance_max;
  statistics.importance_truncated = caps ? mean(sums.truncated) : NAN;
  statistics.effective_samples = mean(sums.weights * sums.weights / sums.squared_weights);
  statistics.behaviour_k1 = mean(sums.behaviour_k1);
  statistics.behaviour_k3 = mean(sums.behaviour_k3);
  statistics.grad_norm = totals.steps > 0 ? totals.grad_norm / totals.steps : NAN;
  statistics.learning_rate = LearningRate(batch.batch);
  statistics.trained_tokens = static_cast<uint64_t>(totals.sums.distinct_tokens);
  statistics.trained_tokens_unpacked = static_cast<uint64_t>(totals.sums.tokens);
  statistics.optimizer_steps = totals.steps;
  statistics.nonfinite_steps = totals.nonfinite;
  return statistics;
}

}  // namespace attnrl::learner
