// SPDX-License-Identifier: Apache-2.0
#include "services/learner/options.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::learner {
namespace {

Correction CorrectionOf(config::Correction correction) {
  switch (correction) {
    case config::Correction::kTruncatedIs:
      return Correction::kTruncatedIs;
    case config::Correction::kDecoupled:
      return Correction::kDecoupled;
    case config::Correction::kBehaviour:
      break;
  }
  return Correction::kBehaviour;
}

Aggregation AggregationOf(config::LossAggregation aggregation) {
  switch (aggregation) {
    case config::LossAggregation::kSequenceMean:
      return Aggregation::kSequenceMean;
    case config::LossAggregation::kSequenceSum:
      return Aggregation::kSequenceSum;
    case config::LossAggregation::kTokenMean:
      break;
  }
  return Aggregation::kTokenMean;
}

CheckpointLayers CheckpointLayersOf(config::CheckpointLayers layers) {
  switch (layers) {
    case config::CheckpointLayers::kAll:
      return CheckpointLayers::kAll;
    case config::CheckpointLayers::kNone:
      return CheckpointLayers::kNone;
    case config::CheckpointLayers::kAuto:
      break;
  }
  return CheckpointLayers::kAuto;
}

Decay DecayOf(config::Decay decay) {
  return decay == config::Decay::kCosine ? Decay::kCosine : Decay::kLinear;
}

ReferencePlace ReferencePlaceOf(config::OffloadReference offload) {
  switch (offload) {
    case config::OffloadReference::kCpu:
      return ReferencePlace::kHost;
    case config::OffloadReference::kDisk:
      return ReferencePlace::kDisk;
    case config::OffloadReference::kNone:
      break;
  }
  return ReferencePlace::kDevice;
}

LoraTargets LoraTargetsOf(config::LoraTargets targets) {
  switch (targets) {
    case config::LoraTargets::kAttention:
      return LoraTargets::kAttention;
    case config::LoraTargets::kMlp:
      return LoraTargets::kMlp;
    case config::LoraTargets::kLinear:
      break;
  }
  return LoraTargets::kLinear;
}

bool IsOfAllRanks(const std::string& key) {
  if (key == "learner.device" || key == "learner.threads") return false;
  return key == "rollout.max_response_tokens" || key == "rollout.temperature" ||
         absl::StartsWith(key, "run.") || absl::StartsWith(key, "algorithm.") ||
         absl::StartsWith(key, "learner.");
}

TrainerStage StageOf(const config::Config& config) {
  return {.learning_rate = config.learner.learning_rate,
          .initial_responses = config.algorithm.sampling.initial_responses,
          .max_response_tokens = config.rollout.max_response_tokens};
}

}  // namespace

TrainerOptions TrainerOptionsOf(const config::Config& config, const std::string& run_dir) {
  const config::Learner& learner = config.learner;
  TrainerOptions options{
      .objective = {.correction = CorrectionOf(learner.correction),
                    .importance_cap = learner.importance_cap,
                    .clip_low = learner.clip_low,
                    .clip_high = learner.clip_high,
                    .dual_clip = learner.dual_clip,
                    .kl_weight = learner.kl_weight,
                    .entropy_weight = learner.entropy_weight},
      .adamw = {.beta1 = learner.beta1,
                .beta2 = learner.beta2,
                .epsilon = learner.adam_epsilon,
                .weight_decay = learner.weight_decay,
                .decay_norms_and_biases = learner.decay_norms_and_biases},
      .first = StageOf(config),
      .rate = {.warmup_steps = learner.warmup_steps,
               .decay_after = learner.decay_after,
               .decay_steps = learner.decay_steps,
               .decay = DecayOf(learner.decay),
               .decay_to = learner.decay_to},
      .max_grad_norm = learner.max_grad_norm,
      .seed = config.run.seed,
      .minibatch_problems = learner.minibatch_problems,
      .steps_per_batch = learner.steps_per_batch,
      .temperature = config.rollout.temperature,
      .mask_truncated = learner.overlong == config::Overlong::kMask,
      .aggregation = AggregationOf(learner.loss_aggregation),
      .max_tokens_per_pass = learner.max_tokens_per_pass,
      .checkpoint = CheckpointLayersOf(learner.checkpoint_layers),
      .deterministic = learner.deterministic,
      .lora = {.rank = learner.lora.rank,
               .alpha = learner.lora.alpha,
               .targets = LoraTargetsOf(learner.lora.targets),
               .seed = config.run.seed},
      .moments = learner.offload_optimizer == config::OffloadOptimizer::kCpu
                     ? Parameters::Moments::kOnHost
                     : Parameters::Moments::kOnDevice,
      .reference = {.place = ReferencePlaceOf(learner.offload_reference), .folder = run_dir}};
  for (const config::Stage& stage : config.stages) {
    options.later[stage.from_step] = StageOf(config::AtStep(config, stage.from_step));
  }
  return options;
}

absl::Status CheckRanks(const config::Config& config, int ranks) {
  if (config.learner.deterministic && ranks != 1 && ranks != 2 && ranks != 4) {
    return InputError("WORLD_SIZE", absl::StrCat("is ", ranks),
                      "1, 2 or 4, as learner.deterministic is true");
  }
  return absl::OkStatus();
}

LoopOptions LoopOptionsOf(const config::Config& config, const std::string& run_dir) {
  std::set<uint32_t> new_data;
  for (const config::TrainingSet& set : config::TrainingSets(config)) {
    new_data.insert(static_cast<uint32_t>(set.from_step));
  }
  return {.schedule = {.mode = config.pipeline.mode, .branching = config.algorithm.branches()},
          .checkpoint_every = config.learner.checkpoint_every,
          .checkpoints_kept = config.learner.checkpoints_kept,
          .checkpoints_best = config.learner.checkpoints_best,
          .new_data = std::move(new_data),
          .model_folder = config.model.path,
          .nonfinite_folder = run_dir + "/nonfinite",
          .max_nonfinite_batches = config.run.max_empty_batches};
}

std::map<std::string, std::string> SettingsOfAllRanks(const config::Config& config) {
  std::map<std::string, std::string> settings = config::Fingerprint(config);
  std::erase_if(settings, [](const auto& setting) { return !IsOfAllRanks(setting.first); });
  for (const config::Stage& stage : config.stages) {
    for (const auto& [key, value] : stage.settings) {
      if (IsOfAllRanks(key)) settings[absl::StrCat(key, " from step ", stage.from_step)] = value;
    }
  }
  return settings;
}

absl::StatusOr<model::DType> ComputeDTypeOf(const config::Config& config, model::DType stored) {
  if (config.model.dtype == "auto") return stored;
  return model::ParseDType(config.model.dtype, "model.dtype");
}

}  // namespace attnrl::learner
