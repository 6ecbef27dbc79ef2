// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/jinja/template.h"

namespace attnrl::text {

struct ChatMessage {
  std::string role;
  std::string content;
};

// How a conversation becomes a prompt: by the model folder's own template, or by one of ours, known
// by name:
//   chatml                  every turn as <|im_start|>role, a newline, the content, <|im_end|>
//   chatml-default-system   the same, with the folder's own system turn before a first turn that
//                           is none
//   deepseek-r1             bos, the last system message, then user and assistant turns in
//                           DeepSeek's marks; what an assistant turn thought is left out
//   deepseek-r1-think       the same, the generation prompt ends with <think> and a newline
// Immutable and thread-safe.
class ChatTemplate {
 public:
  // `name` is the user's choice (--chat-template, model.chat_template); empty: what
  // chat_template.jinja in `model_dir`, or else tokenizer_config.json's "chat_template" says.
  // InputError for an unknown name, for a folder without a template, for one that asks for what
  // common/text/jinja doesn't have, and for chatml-default-system where the folder's template has
  // no such turn. A folder without a template is fine while there are no conversations: load this
  // when the first one is met.
  static absl::StatusOr<ChatTemplate> Load(const std::string& model_dir, std::string_view name);

  // Whether the folder has a template, usable or not. InputError for a file that can't be read.
  static absl::StatusOr<bool> IsIn(const std::string& model_dir);

  // The prompt's text, to be encoded with special tokens recognised and none added: what the
  // template writes of them, the beginning-of-sequence token too, is all there is.
  // `add_generation_prompt` opens the assistant's turn. InputError for what the template refuses.
  absl::StatusOr<std::string> Render(const std::vector<ChatMessage>& messages,
                                     bool add_generation_prompt) const;

 private:
  ChatTemplate(jinja::Template parsed, jinja::Variables variables)
      : parsed_(std::move(parsed)), variables_(std::move(variables)) {}

  static absl::StatusOr<ChatTemplate> Named(const std::string& model_dir, std::string_view name);

  jinja::Template parsed_;
  jinja::Variables variables_;  // those that every rendering has
};

}  // namespace attnrl::text
