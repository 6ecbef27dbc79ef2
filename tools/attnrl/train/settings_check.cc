// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/settings_check.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "services/learner/train/minibatch.h"

namespace attnrl::tools {

namespace {

std::string StepsText(const config::Config& config) {
  const config::Sampling& sampling = config.algorithm.sampling;
  const config::Branching& branching = config.algorithm.branching;
  const int64_t leaves =
      config.algorithm.branches() ? 1 + branching.points * branching.children : 1;
  const int64_t responses = sampling.batch_problems * sampling.initial_responses;
  const int64_t steps =
      learner::MinibatchCount({.minibatch_problems = config.learner.minibatch_problems,
                               .steps_per_batch = config.learner.steps_per_batch,
                               .initial_responses = sampling.initial_responses},
                              responses * leaves, responses);
  const double problems = static_cast<double>(sampling.batch_problems) / static_cast<double>(steps);
  const double shown =
      problems < 1 ? std::max(0.1, std::round(10 * problems) / 10) : std::round(problems);
  const std::string each = absl::StrFormat("about %.6g problem%s", shown, shown == 1 ? "" : "s");
  if (steps == 1) return absl::StrCat("1 optimizer step a batch, of ", each);
  return absl::StrCat("at most about ", steps, " optimizer steps a batch, of ", each,
                      " each; fewer where problems are dropped");
}

// A warning of those of `keys` that are set, if any.
void AddUnread(const std::vector<std::pair<bool, std::string>>& keys, const char* why,
               std::vector<std::string>* warnings) {
  std::vector<std::string> set;
  for (const auto& [is_set, key] : keys) {
    if (is_set) set.push_back(key);
  }
  if (set.empty()) return;
  warnings->push_back(absl::StrCat(absl::StrJoin(set, ", "), set.size() == 1 ? " has" : " have",
                                   " no effect ", why));
}

// Valid settings that leave each other without effect, by what holds before the first stage, or
// from one on.
std::vector<std::string> WarningsOf(const config::Config& config, int64_t longest_prompt) {
  std::vector<std::string> warnings;
  const config::Branching& branching = config.algorithm.branching;
  const int64_t longest = longest_prompt + config.rollout.max_response_tokens;
  const bool walks =
      branching.criterion == tree::Criterion::kFci && branching.choice == tree::Choice::kPositional;
  if (walks && branching.min_distance >= longest) {
    warnings.push_back(absl::StrCat(
        "algorithm.branching.min_distance is ", branching.min_distance,
        ", and no sequence is longer than ", longest, " tokens: no step qualifies, ",
        branching.fill ? "all points are filled with the earliest steps, whatever their scores"
                       : "and without algorithm.branching.fill no response branches"));
  } else if (walks && branching.points > 1 &&
             branching.min_distance >= config.rollout.max_response_tokens) {
    warnings.push_back(
        absl::StrCat("algorithm.branching.min_distance is ", branching.min_distance,
                     ", and responses have at most ", config.rollout.max_response_tokens,
                     " tokens: at most one step of a response qualifies, and the other of the ",
                     branching.points, " points ", branching.fill ? "are filled" : "are left out"));
  }
  if (const config::Branching usual; !walks) {
    AddUnread({{branching.quantile != usual.quantile, "algorithm.branching.quantile"},
               {branching.min_distance != usual.min_distance, "algorithm.branching.min_distance"},
               {branching.fill != usual.fill, "algorithm.branching.fill"}},
              "without algorithm.branching.criterion: fci and algorithm.branching.choice: "
              "positional",
              &warnings);
  }
  const config::Learner& learner = config.learner;
  if (learner.warmup_steps >= config.run.steps) {
    warnings.push_back(absl::StrCat("learner.warmup_steps is ", learner.warmup_steps,
                                    ", and run.steps is ", config.run.steps,
                                    ": the learning rate never gets to learner.learning_rate"));
  }
  if (learner.decay_after >= config.run.steps) {
    warnings.push_back(absl::StrCat("learner.decay_after is ", learner.decay_after,
                                    ", and run.steps is ", config.run.steps,
                                    ": the learning rate never decays"));
  }
  if (learner.kl_weight == 0 && learner.offload_reference != config::OffloadReference::kNone) {
    warnings.push_back("learner.offload_reference has no effect without learner.kl_weight");
  }
  if (learner.decay_after == 0 && learner.decay_steps != config::Learner{}.decay_steps) {
    warnings.push_back("learner.decay_steps has no effect without learner.decay_after");
  }
  if (config.learner.overlong != config::Overlong::kShape &&
      config.learner.overlong_buffer != config::Learner{}.overlong_buffer) {
    warnings.push_back("learner.overlong_buffer has no effect without learner.overlong: shape");
  }
  if (config.learner.correction == config::Correction::kBehaviour &&
      config.learner.importance_cap != config::Learner{}.importance_cap) {
    warnings.push_back("learner.importance_cap has no effect with learner.correction: behaviour");
  }
  const config::LearnerLora lora;
  if (learner.lora.rank == 0) {
    AddUnread({{learner.lora.alpha != lora.alpha, "learner.lora.alpha"},
               {learner.lora.targets != lora.targets, "learner.lora.targets"}},
              "with learner.lora.rank: 0", &warnings);
  }
  const config::Sampling& sampling = config.algorithm.sampling;
  const config::Sampling usual;
  // The other algorithms' defaults turn it off, and are often tried on a file that sets these.
  if (config.algorithm.name == config::AlgorithmName::kAttnrl && !sampling.adaptive_batch) {
    AddUnread({{sampling.batch_min != usual.batch_min, "algorithm.sampling.batch_min"},
               {sampling.batch_max != usual.batch_max, "algorithm.sampling.batch_max"}},
              "without algorithm.sampling.adaptive_batch", &warnings);
  }
  if (sampling.expand != tree::Expand::kDifficulty) {
    AddUnread(
        {{sampling.expand_rounding != usual.expand_rounding, "algorithm.sampling.expand_rounding"}},
        "without algorithm.sampling.expand: difficulty", &warnings);
  }
  if (config.algorithm.branches() && !config.algorithm.advantage_std) {
    warnings.push_back(
        "algorithm.advantage_std has no effect with algorithm.advantages: tree, which never divide "
        "by a standard deviation");
  }
  return warnings;
}

}  // namespace

std::string OptimizerStepsText(const config::Config& config) {
  std::string text = StepsText(config);
  for (const config::Stage& stage : config.stages) {
    const std::string settings = absl::StrJoin(stage.settings, ", ", absl::PairFormatter(" "));
    absl::StrAppend(&text, "\n        from step ", stage.from_step, " on (", settings, ") ",
                    StepsText(config::AtStep(config, stage.from_step)));
  }
  return text;
}

std::vector<std::string> SettingsWarnings(const config::Config& config, int64_t longest_prompt) {
  std::vector<std::string> before = WarningsOf(config, longest_prompt);
  std::vector<std::string> warnings = before;
  for (const config::Stage& stage : config.stages) {
    if (stage.from_step >= config.run.steps) {
      warnings.push_back(absl::StrCat("the stage from step ", stage.from_step,
                                      " is never reached: run.steps is ", config.run.steps));
      continue;
    }
    std::vector<std::string> now =
        WarningsOf(config::AtStep(config, stage.from_step), longest_prompt);
    for (const std::string& warning : now) {
      if (std::find(before.begin(), before.end(), warning) != before.end()) continue;
      warnings.push_back(absl::StrCat("from step ", stage.from_step, " on: ", warning));
    }
    before = std::move(now);
  }
  return warnings;
}

}  // namespace attnrl::tools
