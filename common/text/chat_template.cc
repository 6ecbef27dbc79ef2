// SPDX-License-Identifier: Apache-2.0
#include "common/text/chat_template.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/text/tokenizer_file.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kAllowed =
    "set --chat-template (model.chat_template) to chatml, chatml-default-system, deepseek-r1 or "
    "deepseek-r1-think";

// The templates that have names. Of `default_system` only one knows.
constexpr std::string_view kChatml =
    "{% if messages and messages[0].role != 'system' and default_system is defined %}"
    "{{ '<|im_start|>system\\n' + default_system + '<|im_end|>\\n' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
constexpr std::string_view kDeepseek =
    "{% set last = namespace(system='') %}"
    "{% for message in messages if message.role == 'system' %}"
    "{% set last.system = message.content %}{% endfor %}"
    "{{ bos_token ~ last.system }}"
    "{% for message in messages if message.role != 'system' %}"
    "{% if message.role == 'user' %}{{ '<｜User｜>' + message.content }}"
    "{% elif message.role == 'assistant' %}"
    "{{ '<｜Assistant｜>' + message.content.split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}"
    "{% else %}{{ raise_exception('role ' + message.role + ' has no turn') }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜>' + thought }}{% endif %}";

constexpr std::string_view kSystemOpens = "<|im_start|>system\n";
// Where no template in the folder has another one.
constexpr char kUsualSystem[] = "You are a helpful assistant.";

struct TemplateText {
  std::string text;
  std::string where;
};

// tokenizer_config.json holds one text, or a list of named ones.
std::string ConfigTemplate(const Json& config) {
  Json value = config.value("chat_template", Json());
  if (value.is_array()) {
    const Json list = std::move(value);
    value = Json();
    for (const Json& entry : list) {
      if (entry.is_object() && entry.value("name", Json()) == Json("default")) {
        value = entry.value("template", Json());
      }
    }
  }
  return value.is_string() ? value.get<std::string>() : "";
}

// tokenizer_config.json, an empty object where there is none.
absl::StatusOr<Json> ReadConfig(const std::string& model_dir) {
  const std::string path = model_dir + "/tokenizer_config.json";
  if (!std::filesystem::exists(path)) return Json::object();
  ATTNRL_ASSIGN_OR_RETURN(Json config, ReadJsonFile(path));
  if (!config.is_object()) return InputError(path, "is no object", "an object is needed");
  return config;
}

// The folder's own template; an empty text where it has none.
absl::StatusOr<TemplateText> ReadTemplate(const std::string& model_dir, const Json& config) {
  const std::string file = model_dir + "/chat_template.jinja";
  if (std::filesystem::exists(file)) {
    ATTNRL_ASSIGN_OR_RETURN(std::string text, ReadTextFile(file));
    return TemplateText{std::move(text), file};
  }
  return TemplateText{ConfigTemplate(config), model_dir + "/tokenizer_config.json: chat_template"};
}

// The special tokens' texts by the names that templates have for them.
jinja::Variables SpecialTokens(const Json& config) {
  jinja::Variables variables;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                          "cls_token", "mask_token"}) {
    Json value = config.value(key, Json());
    if (value.is_object()) value = value.value("content", Json());
    if (value.is_string()) variables[key] = jinja::Value(value.get<std::string>());
  }
  return variables;
}

// The content of the ChatML system turn that a template writes before a user's turn; nullopt where
// it writes something else there.
std::optional<std::string> SystemTurn(const ChatTemplate& own) {
  const absl::StatusOr<std::string> text = own.Render({{"user", "?"}}, false);
  constexpr std::string_view kRest = "<|im_end|>\n<|im_start|>user\n?<|im_end|>\n";
  if (!text.ok() || !text->starts_with(kSystemOpens) || !text->ends_with(kRest)) {
    return std::nullopt;
  }
  return text->substr(kSystemOpens.size(), text->size() - kSystemOpens.size() - kRest.size());
}

}  // namespace

absl::StatusOr<bool> ChatTemplate::IsIn(const std::string& model_dir) {
  ATTNRL_ASSIGN_OR_RETURN(const Json config, ReadConfig(model_dir));
  ATTNRL_ASSIGN_OR_RETURN(const TemplateText source, ReadTemplate(model_dir, config));
  return !source.text.empty();
}

absl::StatusOr<ChatTemplate> ChatTemplate::Load(const std::string& model_dir,
                                                std::string_view name) {
  if (!name.empty()) return Named(model_dir, name);
  ATTNRL_ASSIGN_OR_RETURN(const Json config, ReadConfig(model_dir));
  ATTNRL_ASSIGN_OR_RETURN(const TemplateText source, ReadTemplate(model_dir, config));
  if (source.text.empty()) {
    return InputError(source.where, "the model has no chat template", kAllowed);
  }
  ATTNRL_ASSIGN_OR_RETURN(jinja::Template parsed,
                          jinja::Template::Parse(source.text, source.where));
  jinja::Variables variables = SpecialTokens(config);
  // What transformers hands over where there are neither tools nor documents.
  variables["tools"] = jinja::Value(jinja::None());
  variables["documents"] = jinja::Value(jinja::None());
  return ChatTemplate(std::move(parsed), std::move(variables));
}

absl::StatusOr<ChatTemplate> ChatTemplate::Named(const std::string& model_dir,
                                                 std::string_view name) {
  const bool chatml = name == "chatml" || name == "chatml-default-system";
  if (!chatml && name != "deepseek-r1" && name != "deepseek-r1-think") {
    return InputError("--chat-template", absl::StrCat("no template \"", std::string(name), "\""),
                      kAllowed);
  }
  ATTNRL_ASSIGN_OR_RETURN(const Json config, ReadConfig(model_dir));
  jinja::Variables variables = SpecialTokens(config);
  if (name == "deepseek-r1") variables["thought"] = jinja::Value(std::string());
  if (name == "deepseek-r1-think") variables["thought"] = jinja::Value(std::string("<think>\n"));
  if (name == "chatml-default-system") {
    std::optional<std::string> system = kUsualSystem;
    ATTNRL_ASSIGN_OR_RETURN(const bool has_own, IsIn(model_dir));
    if (has_own) {
      ATTNRL_ASSIGN_OR_RETURN(const ChatTemplate own, Load(model_dir, ""));
      system = SystemTurn(own);
    }
    if (!system.has_value()) {
      return InputError("--chat-template",
                        absl::StrCat("the template in ", model_dir,
                                     " writes no system turn of ChatML by itself, which "
                                     "chatml-default-system would take"),
                        "leave it out, and the folder's template is used, or set chatml");
    }
    variables["default_system"] = jinja::Value(*std::move(system));
  }
  ATTNRL_ASSIGN_OR_RETURN(
      jinja::Template parsed,
      jinja::Template::Parse(chatml ? kChatml : kDeepseek,
                             absl::StrCat("--chat-template ", std::string(name))));
  return ChatTemplate(std::move(parsed), std::move(variables));
}

absl::StatusOr<std::string> ChatTemplate::Render(const std::vector<ChatMessage>& messages,
                                                 bool add_generation_prompt) const {
  jinja::Variables variables = variables_;
  jinja::List list;
  for (const ChatMessage& message : messages) {
    list.emplace_back(jinja::Map{{"role", jinja::Value(message.role)},
                                 {"content", jinja::Value(message.content)}});
  }
  variables["messages"] = jinja::Value(std::move(list));
  variables["add_generation_prompt"] = jinja::Value(add_generation_prompt);
  return parsed_.Render(std::move(variables));
}

}  // namespace attnrl::text
