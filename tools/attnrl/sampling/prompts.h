// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data_set/question.h"
#include "common/storage/jsonl.h"
#include "common/text/prompt_text.h"
#include "common/text/tokenizer.h"

namespace attnrl::tools {

// Makes token ids of prompts, of their texts as common/text/prompt_text.h makes them. One thread.
class PromptReader {
 public:
  struct Options {
    std::string model_dir = {};
    std::string chat_template = {};  // empty: the folder's own
    std::string suffix = {};         // appended to the text, or to the last message
    bool chat = false;               // plain texts go through the template
    int64_t context = 0;             // the prompt and one token must fit
    int64_t vocabulary = 0;          // ids must be below
  };
  PromptReader(Options options, text::Tokenizer tokenizer)
      : options_(std::move(options)),
        texts_({.model_dir = options_.model_dir,
                .chat_template = options_.chat_template,
                .suffix = options_.suffix,
                .chat = options_.chat}),
        tokenizer_(std::move(tokenizer)) {}

  // Of a record with `"prompt_ids"`, taken as they are, or a question under a recognised name
  // (common/data_set/README.md). InputError at file:line for one without a prompt, and as below.
  absl::StatusOr<std::vector<int32_t>> Read(const storage::JsonLine& line);
  // Of a question that stands at `where`. InputError for an empty prompt, one longer than the
  // context, or an id outside the vocabulary.
  absl::StatusOr<std::vector<int32_t>> Read(const data_set::Question& question,
                                            const std::string& where);

 private:
  absl::Status Check(const std::vector<int32_t>& ids, const std::string& where) const;

  const Options options_;
  text::PromptText texts_;
  const text::Tokenizer tokenizer_;
};

}  // namespace attnrl::tools
