// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/assemble.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/store_url.h"
#include "common/model/files/config.h"
#include "common/text/chat_template.h"

namespace attnrl::scheduler {
namespace {

BranchingOptions BranchingOf(const config::Branching& branching) {
  BranchingOptions options;
  options.criterion = branching.criterion;
  options.points = static_cast<uint32_t>(branching.points);
  options.children = static_cast<uint32_t>(branching.children);
  options.quantile = branching.quantile;
  options.min_distance = static_cast<uint32_t>(branching.min_distance);
  options.delta = static_cast<uint32_t>(branching.delta);
  options.choice = branching.choice;
  options.fill = branching.fill;
  return options;
}

AdaptiveOptions AdaptiveOf(const config::Sampling& sampling) {
  AdaptiveOptions options;
  options.expand = sampling.expand;
  options.train_unexpanded = sampling.train_unexpanded;
  options.filter_solved = sampling.filter_solved;
  options.drop_all_solved = sampling.drop_all_solved;
  options.rounding = sampling.expand_rounding;
  options.adaptive_batch = sampling.adaptive_batch;
  options.batch_min = static_cast<uint32_t>(sampling.batch_min);
  options.batch_max = static_cast<uint32_t>(sampling.batch_max);
  return options;
}

StageOptions StageOf(const config::Config& config) {
  const config::Sampling& sampling = config.algorithm.sampling;
  return {.batch_problems = static_cast<uint32_t>(sampling.batch_problems),
          .initial_responses = static_cast<uint32_t>(sampling.initial_responses),
          .max_response_tokens = static_cast<uint32_t>(config.rollout.max_response_tokens)};
}

absl::StatusOr<StoreLocation> StoreOf(const config::Config& config, const std::string& run_dir) {
  const std::string& file = config.scheduler.database;
  if (config.scheduler.store.empty()) {
    return StoreLocation{.path = file.empty() ? run_dir + "/scheduler.db" : file};
  }
  ATTNRL_ASSIGN_OR_RETURN(const config::StoreUrl url,
                          config::ParseStoreUrl(config.scheduler.store));
  return StoreLocation{
      .url = config.scheduler.store, .run_id = config.run.id, .database = url.Name()};
}

}  // namespace

absl::StatusOr<SchedulerOptions> OptionsOf(const config::Config& config, const std::string& run_dir,
                                           ModelFacts model, const std::string& data_digest) {
  SchedulerOptions options;
  options.run_dir = run_dir;
  options.records = config.observe.records.empty() ? run_dir : config.observe.records;
  ATTNRL_ASSIGN_OR_RETURN(options.store, StoreOf(config, run_dir));
  options.compress_trees = config.observe.trees == "zstd";
  options.trees_kept = static_cast<uint32_t>(config.observe.trees_kept);
  options.seed = config.run.seed;
  options.steps = static_cast<uint32_t>(config.run.steps);
  options.max_empty_batches = static_cast<uint32_t>(config.run.max_empty_batches);
  options.checkpoints_kept = static_cast<uint32_t>(config.learner.checkpoints_kept);
  options.mode = config.pipeline.mode;

  const config::Algorithm& algorithm = config.algorithm;
  options.first = StageOf(config);
  const std::vector<config::TrainingSet> sets = config::TrainingSets(config);
  uint32_t data = 0;
  for (const config::Stage& stage : config.stages) {
    if (data + 1 < sets.size() && sets[data + 1].from_step == stage.from_step) ++data;
    StageOptions& later = options.later[static_cast<uint32_t>(stage.from_step)];
    later = StageOf(config::AtStep(config, stage.from_step));
    later.data = data;
  }
  options.branching = BranchingOf(algorithm.branching);
  options.adaptive = AdaptiveOf(algorithm.sampling);
  options.tree_advantages = algorithm.advantages == config::Advantages::kTree;
  options.advantage_std = algorithm.advantage_std;
  if (config.learner.overlong == config::Overlong::kShape) {
    options.overlong_buffer = static_cast<uint32_t>(config.learner.overlong_buffer);
  }

  options.max_prompt_tokens = static_cast<uint32_t>(config.rollout.max_prompt_tokens);
  options.temperature = static_cast<float>(config.rollout.temperature);
  options.top_p = static_cast<float>(config.rollout.top_p);
  options.top_k = static_cast<uint32_t>(config.rollout.top_k);
  options.stop_ids = std::move(model.stop_ids);
  options.vocabulary = model.vocabulary;
  options.deterministic = config.rollout.deterministic;
  options.grader = config.data.grader;
  options.grader_timeout = absl::Milliseconds(config.verifier.timeout_ms);
  options.lease = absl::Seconds(config.scheduler.lease_seconds);
  options.item_limit = absl::Seconds(config.scheduler.item_seconds);
  options.fingerprint = config::Fingerprint(config);
  options.fingerprint["data.train (content)"] = data_digest;
  ATTNRL_RETURN_IF_ERROR(options.Validate());
  return options;
}

data_set::FieldNames TrainingFields(const config::Data& data) {
  return {.question = data.fields.question,
          .answer = data.fields.answer,
          .id = data.fields.id,
          .skip_bad = data.skip_bad};
}

data_set::FieldNames EvaluationFields(const config::Data& data) {
  data_set::FieldNames names = TrainingFields(data);
  names.or_recognised = true;
  return names;
}

ModelText::ModelText(const config::Config& config, text::Tokenizer tokenizer, int64_t vocabulary)
    : prompts_({.model_dir = config.model.path,
                .chat_template = config.model.chat_template,
                .suffix = config.data.prompt_suffix,
                .chat = config.data.chat == config::Chat::kAuto}),
      tokenizer_(std::move(tokenizer)),
      segmenter_(tokenizer_, config.algorithm.branching.steps),
      vocabulary_(vocabulary) {}

absl::StatusOr<std::unique_ptr<ModelText>> ModelText::Load(const config::Config& config) {
  ATTNRL_ASSIGN_OR_RETURN(text::Tokenizer tokenizer, text::Tokenizer::Load(config.model.path));
  ATTNRL_ASSIGN_OR_RETURN(const int64_t vocabulary, model::LoadVocabularySize(config.model.path));
  // A name that is set must be one, whether the data has conversations or not.
  if (!config.model.chat_template.empty()) {
    ATTNRL_RETURN_IF_ERROR(
        text::ChatTemplate::Load(config.model.path, config.model.chat_template).status());
  }
  return std::unique_ptr<ModelText>(new ModelText(config, std::move(tokenizer), vocabulary));
}

absl::StatusOr<std::string> ModelText::PromptText(const data_set::Question& question) {
  return prompts_.Of(question);
}

absl::StatusOr<std::vector<int32_t>> ModelText::EncodePrompt(const data_set::Question& question) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, PromptText(question));
  std::vector<int32_t> ids = tokenizer_.Encode(text);
  for (const int32_t id : ids) {
    if (id < vocabulary_) continue;
    return InputError(
        "the prompt",
        absl::StrCat("has token ", id, " (", OneLine(tokenizer_.TokenBytes(id), 40), ")"),
        absl::StrCat("ids below the model's vocab_size ", vocabulary_, " are needed"));
  }
  return ids;
}

std::optional<int32_t> ModelText::EndOfTurn() const {
  for (const int32_t id : tokenizer_.Encode(prompts_.EndOfTurn())) {
    if (tokenizer_.IsAdded(id)) return id;
  }
  return std::nullopt;
}

TextTools ModelText::Tools() const {
  TextTools tools;
  tools.decode = [this](const std::vector<int32_t>& ids) { return tokenizer_.Decode(ids); };
  tools.steps = [this](uint32_t prompt_tokens, const std::vector<int32_t>& response) {
    return segmenter_.Segment(prompt_tokens, response);
  };
  return tools;
}

}  // namespace attnrl::scheduler
