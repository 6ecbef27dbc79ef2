// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/prompts.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::tools {
namespace {

// The conversation of a record.
absl::StatusOr<std::vector<text::ChatMessage>> Messages(const storage::JsonLine& line) {
  const char* allowed = "a list of {\"role\": text, \"content\": text}";
  const nlohmann::json& list = line.value.at("messages");
  if (!list.is_array() || list.empty()) {
    return storage::BadRecord(line, "field \"messages\" has no message", allowed);
  }
  std::vector<text::ChatMessage> messages;
  for (const nlohmann::json& entry : list) {
    const bool good = entry.is_object() && entry.contains("role") && entry["role"].is_string() &&
                      entry.contains("content") && entry["content"].is_string();
    if (!good) return storage::BadRecord(line, "field \"messages\" is not a conversation", allowed);
    messages.push_back({entry["role"].get<std::string>(), entry["content"].get<std::string>()});
  }
  return messages;
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> PromptReader::Read(const storage::JsonLine& line) {
  ATTNRL_ASSIGN_OR_RETURN(std::vector<int32_t> ids, Encode(line));
  if (ids.empty()) return storage::BadRecord(line, "the prompt is empty", "at least one token");
  if (static_cast<int64_t>(ids.size()) >= options_.context) {
    return storage::BadRecord(line, absl::StrCat("a prompt of ", ids.size(), " tokens"),
                              absl::StrCat("at most ", options_.context - 1,
                                           ", so that one more fits the model's context"));
  }
  for (const int32_t id : ids) {
    if (id >= 0 && id < options_.vocabulary) continue;
    return storage::BadRecord(line, absl::StrCat("token id ", id),
                              absl::StrCat("0 to ", options_.vocabulary - 1));
  }
  return ids;
}

absl::StatusOr<std::vector<int32_t>> PromptReader::Encode(const storage::JsonLine& line) {
  if (storage::HasField(line, "prompt_ids")) return storage::IntListField(line, "prompt_ids");
  if (storage::HasField(line, "messages")) return EncodeMessages(line);
  if (storage::HasField(line, "prompt")) {
    ATTNRL_ASSIGN_OR_RETURN(const std::string prompt, storage::StringField(line, "prompt"));
    return tokenizer_.Encode(prompt + options_.suffix);
  }
  return storage::BadRecord(line, "no prompt", "\"prompt\", \"messages\" or \"prompt_ids\"");
}

absl::StatusOr<std::vector<int32_t>> PromptReader::EncodeMessages(const storage::JsonLine& line) {
  ATTNRL_ASSIGN_OR_RETURN(std::vector<text::ChatMessage> messages, Messages(line));
  messages.back().content += options_.suffix;
  if (!template_) {
    ATTNRL_ASSIGN_OR_RETURN(template_,
                            text::ChatTemplate::Load(options_.model_dir, options_.chat_template));
  }
  const absl::StatusOr<std::string> text = template_->Render(messages, true);
  if (!text.ok()) return Annotate(text.status(), line.where);
  return tokenizer_.Encode(*text);
}

}  // namespace attnrl::tools
