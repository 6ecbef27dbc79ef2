// SPDX-License-Identifier: Apache-2.0
// Stages: longer responses, other batches, other data or another learning rate from a step on.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/config/key.h"

namespace attnrl::config {
namespace {

constexpr int64_t kMaxStep = 1'000'000'000;

// What may change within a run. Everything else a run is compared by, or services read it once.
const std::vector<std::string>& StageKeys() {
  static const auto* keys = new std::vector<std::string>{
      "algorithm.sampling.batch_problems", "algorithm.sampling.initial_responses", "data.train",
      "learner.learning_rate", "rollout.max_response_tokens"};
  return *keys;
}

bool MayChange(const Key& key) {
  return std::find(StageKeys().begin(), StageKeys().end(), key.name()) != StageKeys().end();
}

// The settings of a stage are what Plain gave: they are allowed.
void ApplyStage(const Stage& stage, Config* config) {
  for (const auto& [name, value] : stage.settings) {
    FindKey(name)->Set({.items = {value}}, "/", config);
  }
}

}  // namespace

Config AtStep(const Config& config, int64_t step) {
  Config now = config;
  for (const Stage& stage : config.stages) {
    if (stage.from_step <= step) ApplyStage(stage, &now);
  }
  return now;
}

Config Widest(const Config& config) {
  Config widest = config;
  const auto widen = [](auto* most, auto value) { *most = std::max(*most, value); };
  for (const Stage& stage : config.stages) {
    const Config now = AtStep(config, stage.from_step);
    Sampling& sampling = widest.algorithm.sampling;
    widen(&sampling.batch_problems, now.algorithm.sampling.batch_problems);
    widen(&sampling.initial_responses, now.algorithm.sampling.initial_responses);
    widen(&widest.learner.learning_rate, now.learner.learning_rate);
    widen(&widest.rollout.max_response_tokens, now.rollout.max_response_tokens);
  }
  return widest;
}

std::vector<TrainingSet> TrainingSets(const Config& config) {
  std::vector<TrainingSet> sets = {{0, config.data.train}};
  for (const Stage& stage : config.stages) {
    const std::string path = AtStep(config, stage.from_step).data.train;
    if (path != sets.back().path) sets.push_back({stage.from_step, path});
  }
  return sets;
}

absl::Status ApplyStages(const std::vector<WrittenStage>& written, Config* config,
                         const Sources& sources) {
  Config now = *config;
  Sources places = sources;
  int64_t after = 0;
  for (const WrittenStage& each : written) {
    if (each.from_step <= after || each.from_step > kMaxStep) {
      return InputError(each.where, absl::StrCat("a stage from step ", each.from_step),
                        absl::StrCat("a step from ", after + 1, " to ", kMaxStep,
                                     ", later than that of the stage before"));
    }
    after = each.from_step;
    Stage stage{.from_step = each.from_step};
    for (const Assignment& assignment : each.assignments) {
      if (MayChange(*assignment.key)) continue;
      return InputError(assignment.where,
                        absl::StrCat(assignment.key->name(), " can't change within a run"),
                        absl::StrCat("a stage sets ", absl::StrJoin(StageKeys(), ", ")));
    }
    ATTNRL_RETURN_IF_ERROR(Apply(each.assignments, &now, &places));
    ATTNRL_RETURN_IF_ERROR(ValidateFrom(now, places));
    for (const Assignment& assignment : each.assignments) {
      stage.settings[assignment.key->name()] = assignment.key->Plain(now);
    }
    config->stages.push_back(std::move(stage));
  }
  return absl::OkStatus();
}

std::string PrintStages(const std::vector<Stage>& stages) {
  if (stages.empty()) return "";
  std::string out = "stages:\n";
  for (const Stage& stage : stages) {
    absl::StrAppend(&out, "  - from_step: ", stage.from_step, "\n");
    Config config;
    ApplyStage(stage, &config);
    for (const auto& [name, value] : stage.settings) {
      absl::StrAppend(&out, "    ", name, ": ", FindKey(name)->Print(config), "\n");
    }
  }
  return out;
}

std::string ReferenceStages() {
  return absl::StrCat(
      "# ---- Other values from a step on ----\n"
      "# A list, in a file only, of what changes at which training step, counted from 0:\n",
      "#   ", absl::StrJoin(StageKeys(), "\n#   "), "\n",
      "# A value holds until a later stage changes it. For example\n"
      "#   stages:\n"
      "#     - from_step: 1000\n"
      "#       rollout.max_response_tokens: 16384\n"
      "#     - from_step: 1500\n"
      "#       rollout.max_response_tokens: 24576\n"
      "#       learner.learning_rate: 5.0e-07\n"
      "#       data.train: harder.jsonl\n");
}

}  // namespace attnrl::config
