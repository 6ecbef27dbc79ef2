// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::text {

struct ChatMessage {
  std::string role;
  std::string content;
};

// How a conversation becomes a prompt. The templates are known by name and written in C++; the text
// in a model folder only decides which one is meant:
//   chatml                  every turn as <|im_start|>role, a newline, the content, <|im_end|>
//   chatml-default-system   the same, with the folder's own system turn before a first turn that
//                           is none (SmolLM2, Qwen2)
//   deepseek-r1             bos, the last system message, then user and assistant turns in
//                           DeepSeek's marks; what an assistant turn thought is left out
//   deepseek-r1-think       the same, the generation prompt ends with <think> and a newline
// Immutable and thread-safe.
class ChatTemplate {
 public:
  // `name` is the user's choice (--chat-template, model.chat_template); empty: what
  // chat_template.jinja in `model_dir`, or else tokenizer_config.json's "chat_template" says.
  // InputError for an unknown name, for a folder without a template and for an unknown template,
  // saying what to set. A folder without a template is fine while there are no conversations: load
  // this when the first one is met.
  static absl::StatusOr<ChatTemplate> Load(const std::string& model_dir, std::string_view name);

  // The prompt's text, to be encoded with special tokens recognised. `add_generation_prompt` opens
  // the assistant's turn. InputError for a role that the template has no turn for.
  absl::StatusOr<std::string> Render(const std::vector<ChatMessage>& messages,
                                     bool add_generation_prompt) const;

  std::string_view name() const;

 private:
  enum class Kind { kChatml, kChatmlDefaultSystem, kDeepseekR1, kDeepseekR1Think };

  static absl::StatusOr<Kind> KindByName(std::string_view name);
  static absl::StatusOr<Kind> KindByText(const std::string& text, const std::string& where);
  std::string RenderChatml(const std::vector<ChatMessage>& messages,
                           bool add_generation_prompt) const;
  absl::StatusOr<std::string> RenderDeepseek(const std::vector<ChatMessage>& messages,
                                             bool add_generation_prompt) const;

  Kind kind_ = Kind::kChatml;
  std::string default_system_;
  std::string bos_token_;
};

}  // namespace attnrl::text
