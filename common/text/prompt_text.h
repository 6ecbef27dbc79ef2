// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/chat_template.h"

namespace attnrl::text {

// Makes the text that the model reads of a question, one way for training, evaluation and `sft`. A
// conversation goes through the chat template, with the assistant's turn opened. So does a plain
// text, as a user's message, where the options say so and the model has a template, by name or in
// its folder; else it stays as it is. One thread.
class PromptText {
 public:
  struct Options {
    std::string model_dir = {};
    std::string chat_template = {};  // name; empty: the folder's own
    std::string suffix = {};         // appended to the text, or to the last message
    bool chat = true;                // plain texts go through the template (data.chat)
  };
  explicit PromptText(Options options) : options_(std::move(options)) {}

  // `question`: (role, content) of each message; one message with the role "" is a plain text.
  // InputError where a template is needed and there is none, or it can't be used.
  absl::StatusOr<std::string> Of(const std::vector<std::pair<std::string, std::string>>& question);

  // What the template writes behind an answer of the assistant; empty where no question has needed
  // the template so far, or it renders no such turn. A response should end with it.
  std::string EndOfTurn() const;

 private:
  absl::Status LoadTemplate();

  const Options options_;
  std::optional<bool> has_template_;
  std::optional<ChatTemplate> template_;  // loaded where it is first needed
};

}  // namespace attnrl::text
