// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/data_set/fields.h"
#include "common/data_set/question.h"
#include "common/text/prompt_text.h"
#include "common/text/steps.h"
#include "common/text/tokenizer.h"
#include "services/branch_scheduler/data_set.h"
#include "services/branch_scheduler/options.h"
#include "services/branch_scheduler/problem.h"

namespace attnrl::scheduler {

// What the files of the model's folder say.
struct ModelFacts {
  std::vector<int32_t> stop_ids = {};  // end tokens
  int64_t vocabulary = 0;              // rows of its embedding, padding included
};

// What the configuration says to the scheduler; `data_digest` is the data set's. InputError naming
// the key for what this build can't do.
absl::StatusOr<SchedulerOptions> OptionsOf(const config::Config& config, const std::string& run_dir,
                                           ModelFacts model, const std::string& data_digest);

// What the configuration calls the fields of the training set. An evaluation set has them too, or
// recognised ones.
data_set::FieldNames TrainingFields(const config::Data& data);
data_set::FieldNames EvaluationFields(const config::Data& data);

// The model's texts: how prompts become tokens, and responses text and steps. Immutable once the
// prompts are read; Tools may be used from any thread and must not outlive it.
class ModelText {
 public:
  // InputError by file for a folder without a supported tokenizer.
  static absl::StatusOr<std::unique_ptr<ModelText>> Load(const config::Config& config);

  // What the model reads: common/text/prompt_text.h, as data.chat, data.prompt_suffix and
  // model.chat_template have it. Tokens of it that the model has no row for are an InputError.
  absl::StatusOr<std::string> PromptText(const data_set::Question& question);
  absl::StatusOr<std::vector<int32_t>> EncodePrompt(const data_set::Question& question);
  // The token with which the chat template ends a turn, where a question has needed the template
  // and it ends turns with a special token.
  std::optional<int32_t> EndOfTurn() const;
  TextTools Tools() const;

 private:
  ModelText(const config::Config& config, text::Tokenizer tokenizer, int64_t vocabulary);

  text::PromptText prompts_;
  const text::Tokenizer tokenizer_;
  const text::StepSegmenter segmenter_;
  const int64_t vocabulary_;  // of the model; its tokenizer may have more
};

}  // namespace attnrl::scheduler
