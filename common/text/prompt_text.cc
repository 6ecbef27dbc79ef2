// SPDX-License-Identifier: Apache-2.0
#include "common/text/prompt_text.h"

#include <string_view>

#include "common/base/status.h"

namespace attnrl::text {

absl::Status PromptText::LoadTemplate() {
  if (template_.has_value()) return absl::OkStatus();
  ATTNRL_ASSIGN_OR_RETURN(template_,
                          ChatTemplate::Load(options_.model_dir, options_.chat_template));
  return absl::OkStatus();
}

absl::StatusOr<std::string> PromptText::Of(
    const std::vector<std::pair<std::string, std::string>>& question) {
  const bool is_text = question.size() == 1 && question[0].first.empty();
  if (is_text && options_.chat && !has_template_.has_value()) {
    has_template_ = !options_.chat_template.empty();
    if (!*has_template_) {
      ATTNRL_ASSIGN_OR_RETURN(has_template_, ChatTemplate::IsIn(options_.model_dir));
    }
  }
  if (is_text && !(options_.chat && *has_template_)) return question[0].second + options_.suffix;
  ATTNRL_RETURN_IF_ERROR(LoadTemplate());
  std::vector<ChatMessage> messages;
  for (const auto& [role, content] : question) {
    messages.push_back({is_text ? "user" : role, content});
  }
  if (!messages.empty()) messages.back().content += options_.suffix;
  return template_->Render(messages, /*add_generation_prompt=*/true);
}

std::string PromptText::EndOfTurn() const {
  constexpr std::string_view kAnswer = "answer-of-the-assistant";
  if (!template_.has_value()) return "";
  const auto text = template_->Render({{"user", "question"}, {"assistant", std::string(kAnswer)}},
                                      /*add_generation_prompt=*/false);
  if (!text.ok()) return "";
  const size_t answer = text->rfind(kAnswer);
  return answer == std::string::npos ? "" : text->substr(answer + kAnswer.size());
}

}  // namespace attnrl::text
