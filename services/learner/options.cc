// SPDX-License-Identifier: Apache-2.0
#include "services/learner/options.h"

namespace attnrl::learner {

TrainerOptions TrainerOptionsOf(const config::Config& config) {
  const config::Learner& learner = config.learner;
  return {.objective = {.clip_low = learner.clip_low,
                        .clip_high = learner.clip_high,
                        .dual_clip = learner.dual_clip,
                        .kl_weight = learner.kl_weight,
                        .entropy_weight = learner.entropy_weight},
          .adamw = {.learning_rate = learner.learning_rate,
                    .beta1 = learner.beta1,
                    .beta2 = learner.beta2,
                    .epsilon = learner.adam_epsilon,
                    .weight_decay = learner.weight_decay},
          .warmup_steps = learner.warmup_steps,
          .decay_after = learner.decay_after,
          .decay_steps = learner.decay_steps,
          .max_grad_norm = learner.max_grad_norm,
          .seed = config.run.seed,
          .minibatch_problems = learner.minibatch_problems,
          .initial_responses = config.algorithm.sampling.initial_responses,
          .temperature = config.rollout.temperature,
          .mask_truncated = learner.mask_truncated,
          .max_tokens_per_pass = learner.max_tokens_per_pass};
}

LoopOptions LoopOptionsOf(const config::Config& config) {
  return {.schedule = {.mode = config.pipeline.mode, .branching = config.algorithm.branches()},
          .checkpoint_every = config.learner.checkpoint_every,
          .checkpoints_kept = config.learner.checkpoints_kept,
          .model_folder = config.model.path};
}

absl::StatusOr<model::DType> ComputeDTypeOf(const config::Config& config, model::DType stored) {
  if (config.model.dtype == "auto") return stored;
  return model::ParseDType(config.model.dtype, "model.dtype");
}

}  // namespace attnrl::learner
