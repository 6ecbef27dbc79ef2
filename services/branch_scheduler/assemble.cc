// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/assemble.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::scheduler {
namespace {

absl::StatusOr<Criterion> CriterionOf(config::Criterion criterion) {
  switch (criterion) {
    case config::Criterion::kNone:
      return Criterion::kNone;
    case config::Criterion::kEarliest:
      return Criterion::kEarliest;
    case config::Criterion::kEntropy:
      return Criterion::kEntropy;
    case config::Criterion::kFci:
    case config::Criterion::kRandom:
    case config::Criterion::kFixedLength:
      break;
  }
  return InputError("algorithm.branching.criterion",
                    absl::StrCat("\"", config::Name(criterion), "\""),
                    "entropy, earliest and none are allowed");
}

PipelineMode ModeOf(config::PipelineMode mode) {
  switch (mode) {
    case config::PipelineMode::kOverlapped:
      return PipelineMode::kOverlapped;
    case config::PipelineMode::kSequential:
      return PipelineMode::kSequential;
    case config::PipelineMode::kOnPolicy:
      return PipelineMode::kOnPolicy;
  }
  return PipelineMode::kOverlapped;
}

}  // namespace

absl::StatusOr<SchedulerOptions> OptionsOf(const config::Config& config, const std::string& run_dir,
                                           std::vector<int32_t> stop_ids,
                                           const std::string& data_digest) {
  SchedulerOptions options;
  options.run_dir = run_dir;
  options.database =
      config.scheduler.database.empty() ? run_dir + "/scheduler.db" : config.scheduler.database;
  options.seed = config.run.seed;
  options.steps = static_cast<uint32_t>(config.run.steps);
  options.max_empty_batches = static_cast<uint32_t>(config.run.max_empty_batches);
  options.mode = ModeOf(config.pipeline.mode);

  const config::Algorithm& algorithm = config.algorithm;
  options.batch_problems = static_cast<uint32_t>(algorithm.sampling.batch_problems);
  options.initial_responses = static_cast<uint32_t>(algorithm.sampling.initial_responses);
  ATTNRL_ASSIGN_OR_RETURN(options.branching.criterion, CriterionOf(algorithm.branching.criterion));
  options.branching.points = static_cast<uint32_t>(algorithm.branching.points);
  options.branching.children = static_cast<uint32_t>(algorithm.branching.children);
  options.tree_advantages = algorithm.advantages == config::Advantages::kTree;

  options.max_response_tokens = static_cast<uint32_t>(config.rollout.max_response_tokens);
  options.temperature = static_cast<float>(config.rollout.temperature);
  options.top_p = static_cast<float>(config.rollout.top_p);
  options.top_k = static_cast<uint32_t>(config.rollout.top_k);
  options.stop_ids = std::move(stop_ids);
  options.deterministic = config.rollout.deterministic;
  options.grader_timeout = absl::Milliseconds(config.verifier.timeout_ms);
  options.lease = absl::Seconds(config.scheduler.lease_seconds);
  options.fingerprint = config::Fingerprint(config);
  options.fingerprint["data.train (content)"] = data_digest;
  ATTNRL_RETURN_IF_ERROR(options.Validate());
  return options;
}

ModelText::ModelText(config::Model model, std::string suffix, text::Tokenizer tokenizer)
    : model_(std::move(model)),
      suffix_(std::move(suffix)),
      tokenizer_(std::move(tokenizer)),
      segmenter_(tokenizer_) {}

absl::StatusOr<std::unique_ptr<ModelText>> ModelText::Load(const config::Config& config) {
  ATTNRL_ASSIGN_OR_RETURN(text::Tokenizer tokenizer, text::Tokenizer::Load(config.model.path));
  return std::unique_ptr<ModelText>(
      new ModelText(config.model, config.data.prompt_suffix, std::move(tokenizer)));
}

absl::StatusOr<std::vector<int32_t>> ModelText::EncodePrompt(const PromptMessages& messages) {
  if (messages.size() == 1 && messages[0].first.empty()) {
    return tokenizer_.Encode(messages[0].second + suffix_);
  }
  if (!template_.has_value()) {
    ATTNRL_ASSIGN_OR_RETURN(template_, text::ChatTemplate::Load(model_.path, model_.chat_template));
  }
  std::vector<text::ChatMessage> turns;
  for (const auto& [role, content] : messages) turns.push_back({role, content});
  turns.back().content += suffix_;
  ATTNRL_ASSIGN_OR_RETURN(std::string text, template_->Render(turns, true));
  return tokenizer_.Encode(text);
}

TextTools ModelText::Tools() const {
  TextTools tools;
  tools.decode = [this](const std::vector<int32_t>& ids) { return tokenizer_.Decode(ids); };
  tools.steps = [this](uint32_t prompt_tokens, const std::vector<int32_t>& response) {
    std::vector<StepRange> steps;
    for (const auto& [start, end] : segmenter_.Segment(prompt_tokens, response)) {
      steps.emplace_back(static_cast<uint32_t>(start), static_cast<uint32_t>(end));
    }
    return steps;
  };
  return tools;
}

}  // namespace attnrl::scheduler
