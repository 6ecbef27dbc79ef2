// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data_set/question.h"
#include "common/storage/jsonl.h"
#include "common/text/chat_template.h"
#include "common/text/tokenizer.h"

namespace attnrl::tools {

// Makes token ids of prompts: a text as it is, a conversation through the model's chat template
// with the assistant's turn opened. The template is looked up at the first conversation, so a model
// without one is fine for texts. One thread.
class PromptReader {
 public:
  struct Options {
    std::string model_dir = {};
    std::string chat_template = {};  // empty: recognised from the folder
    std::string suffix = {};         // appended to the text, or to the last message
    int64_t context = 0;             // the prompt and one token must fit
    int64_t vocabulary = 0;          // ids must be below
  };
  PromptReader(Options options, text::Tokenizer tokenizer)
      : options_(std::move(options)), tokenizer_(std::move(tokenizer)) {}

  // Of a record with `"prompt_ids"`, taken as they are, or a question under a recognised name
  // (common/data_set/README.md). InputError at file:line for one without a prompt, and as below.
  absl::StatusOr<std::vector<int32_t>> Read(const storage::JsonLine& line);
  // Of a question that stands at `where`. InputError for an empty prompt, one longer than the
  // context, or an id outside the vocabulary.
  absl::StatusOr<std::vector<int32_t>> Read(const data_set::Question& question,
                                            const std::string& where);

 private:
  absl::StatusOr<std::vector<int32_t>> Encode(const data_set::Question& question,
                                              const std::string& where);
  absl::Status Check(const std::vector<int32_t>& ids, const std::string& where) const;

  const Options options_;
  const text::Tokenizer tokenizer_;
  std::optional<text::ChatTemplate> template_;
};

}  // namespace attnrl::tools
