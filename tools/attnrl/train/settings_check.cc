// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/settings_check.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/learner/train/minibatch.h"

namespace attnrl::tools {

namespace {

std::string StepsText(const config::Config& config) {
  const config::Sampling& sampling = config.algorithm.sampling;
  const config::Branching& branching = config.algorithm.branching;
  const int64_t leaves =
      config.algorithm.branches() ? 1 + branching.points * branching.children : 1;
  const int64_t steps =
      learner::MinibatchCount({.minibatch_problems = config.learner.minibatch_problems,
                               .steps_per_batch = config.learner.steps_per_batch,
                               .initial_responses = sampling.initial_responses},
                              sampling.batch_problems * sampling.initial_responses * leaves);
  const double problems = static_cast<double>(sampling.batch_problems) / static_cast<double>(steps);
  const double shown =
      problems < 1 ? std::max(0.1, std::round(10 * problems) / 10) : std::round(problems);
  return absl::StrFormat("about %d optimizer step%s a batch of about %.6g problem%s each", steps,
                         steps == 1 ? "" : "s", shown, shown == 1 ? "" : "s");
}

}  // namespace

std::string OptimizerStepsText(const config::Config& config) {
  std::string text = StepsText(config);
  for (const config::Stage& stage : config.stages) {
    absl::StrAppend(&text, "\n        from step ", stage.from_step, " on ",
                    StepsText(config::AtStep(config, stage.from_step)));
    for (const auto& [key, value] : stage.settings) absl::StrAppend(&text, ", ", key, " ", value);
  }
  return text;
}

std::vector<std::string> SettingsWarnings(const config::Config& config, int64_t longest_prompt) {
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
  for (const config::Stage& stage : config.stages) {
    if (stage.from_step < config.run.steps) continue;
    warnings.push_back(absl::StrCat("the stage from step ", stage.from_step,
                                    " is never reached: run.steps is ", config.run.steps));
  }
  if (config.learner.overlong != config::Overlong::kShape &&
      config.learner.overlong_buffer != config::Learner{}.overlong_buffer) {
    warnings.push_back("learner.overlong_buffer has no effect without learner.overlong: shape");
  }
  if (config.learner.correction == config::Correction::kBehaviour &&
      config.learner.importance_cap != config::Learner{}.importance_cap) {
    warnings.push_back("learner.importance_cap has no effect with learner.correction: behaviour");
  }
  if (config.algorithm.branches() && !config.algorithm.advantage_std) {
    warnings.push_back(
        "algorithm.advantage_std has no effect with algorithm.advantages: tree, which never divide "
        "by a standard deviation");
  }
  return warnings;
}

}  // namespace attnrl::tools
