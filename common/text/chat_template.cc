// SPDX-License-Identifier: Apache-2.0
#include "common/text/chat_template.h"

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/text/tokenizer_file.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 4> kNames = {"chatml", "chatml-default-system",
                                                    "deepseek-r1", "deepseek-r1-think"};
constexpr std::string_view kAllowed =
    "set --chat-template (model.chat_template) to chatml, chatml-default-system, deepseek-r1 or "
    "deepseek-r1-think";

constexpr std::string_view kUser = "<｜User｜>";
constexpr std::string_view kAssistant = "<｜Assistant｜>";
constexpr std::string_view kEnd = "<｜end▁of▁sentence｜>";

// The known templates in the form that Canonical gives. What stands for the default system turn is
// taken out of the text first.
constexpr std::string_view kChatmlText =
    "{%formessageinmessages%}{{'<|im_start|>'+message['role']+'\\n'+message['content']+"
    "'<|im_end|>'+'\\n'}}{%endfor%}{%ifadd_generation_prompt%}{{'<|im_start|>assistant\\n'}}"
    "{%endif%}";
constexpr std::string_view kChatmlDefaultSystemText =
    "{%formessageinmessages%}{%ifloop.firstandmessages[0]['role']!='system'%}{{''}}{%endif%}"
    "{{'<|im_start|>'+message['role']+'\\n'+message['content']+'<|im_end|>'+'\\n'}}{%endfor%}"
    "{%ifadd_generation_prompt%}{{'<|im_start|>assistant\\n'}}{%endif%}";

constexpr std::string_view kSystemOpens = "<|im_start|>system\n";
constexpr std::string_view kTurnEnds = "<|im_end|>\n";

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The variable of the first loop over the messages called "message", its parts written in brackets.
std::string WithCommonVariable(std::string canonical) {
  constexpr std::string_view kFor = "{%for";
  constexpr std::string_view kIn = "inmessages%}";
  const size_t begin = canonical.find(kFor);
  const size_t end = canonical.find(kIn);
  if (begin == std::string::npos || end == std::string::npos || end < begin) return canonical;
  const std::string name = canonical.substr(begin + kFor.size(), end - begin - kFor.size());
  for (const std::string part : {"role", "content"}) {
    const std::string common = "+message['" + part + "']";
    canonical = ReplaceAll(std::move(canonical), absl::StrCat("+", name, ".", part), common);
    canonical = ReplaceAll(std::move(canonical), absl::StrCat("+", name, "['", part, "']"), common);
  }
  return ReplaceAll(std::move(canonical), std::string(kFor) + name + std::string(kIn),
                    "{%formessageinmessages%}");
}

// The template without what does not change its output: white space outside of strings, the
// trimming marks of {%- and -%}, how a newline in a string and the loop's variable are written.
std::string Canonical(const std::string& text) {
  std::string out;
  char quote = 0;
  for (const char c : text) {
    if (quote == 0 && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) continue;
    if (quote != 0 && c == '\n') {
      out += "\\n";
      continue;
    }
    const bool is_quote = c == '\'' || c == '"';
    if (is_quote && quote == 0) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    }
    out.push_back(is_quote ? '\'' : c);
  }
  for (const char* mark : {"{%-", "{{-"}) out = ReplaceAll(std::move(out), mark, {mark, 2});
  for (const char* mark : {"-%}", "-}}"}) out = ReplaceAll(std::move(out), mark, {mark + 1, 2});
  return WithCommonVariable(std::move(out));
}

// The system turn that a ChatML template writes by itself: the first string in it that is a whole
// system turn. Empty where there is none.
std::string DefaultSystem(const std::string& text) {
  const std::string plain = ReplaceAll(text, "\\n", "\n");
  const size_t begin = plain.find(kSystemOpens);
  if (begin == std::string::npos) return "";
  const size_t content = begin + kSystemOpens.size();
  const size_t end = plain.find(kTurnEnds, content);
  if (end == std::string::npos) return "";
  const std::string turn = plain.substr(content, end - content);
  return turn.find_first_of("'\"{}") == std::string::npos ? turn : "";
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

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
  return ReadJsonFile(path);
}

absl::StatusOr<TemplateText> ReadTemplate(const std::string& model_dir, const Json& config) {
  const std::string file = model_dir + "/chat_template.jinja";
  if (std::filesystem::exists(file)) {
    ATTNRL_ASSIGN_OR_RETURN(std::string text, ReadTextFile(file));
    return TemplateText{std::move(text), file};
  }
  return TemplateText{ConfigTemplate(config), model_dir + "/tokenizer_config.json: chat_template"};
}

}  // namespace

absl::StatusOr<ChatTemplate::Kind> ChatTemplate::KindByName(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Kind>(i);
  }
  return InputError("--chat-template", absl::StrCat("no template \"", std::string(name), "\""),
                    kAllowed);
}

absl::StatusOr<ChatTemplate::Kind> ChatTemplate::KindByText(const std::string& text,
                                                            const std::string& where) {
  if (text.empty()) return InputError(where, "the model has no chat template", kAllowed);
  const std::string canonical = Canonical(text);
  if (canonical == kChatmlText) return Kind::kChatml;
  const std::string system = DefaultSystem(text);
  if (!system.empty()) {
    std::string literal =
        Canonical("'" + std::string(kSystemOpens) + system + std::string(kTurnEnds) + "'");
    if (ReplaceAll(canonical, literal, "''") == kChatmlDefaultSystemText) {
      return Kind::kChatmlDefaultSystem;
    }
  }
  // DeepSeek's text also handles tools, which we don't; of its revisions only the end matters here.
  const bool deepseek =
      canonical.find("{{'<｜User｜>'+message['content']}}") != std::string::npos &&
      canonical.find("{%setcontent=content.split('</think>')[-1]%}") != std::string::npos &&
      canonical.find("{{'<｜Assistant｜>'+content+'<｜end▁of▁sentence｜>'}}") !=
          std::string::npos &&
      canonical.find("{{bos_token}}{{ns.system_prompt}}") != std::string::npos;
  if (deepseek && EndsWith(canonical, "{{'<｜Assistant｜>'}}{%endif%}")) return Kind::kDeepseekR1;
  if (deepseek && EndsWith(canonical, "{{'<｜Assistant｜><think>\\n'}}{%endif%}")) {
    return Kind::kDeepseekR1Think;
  }
  return InputError(where, "the model's chat template is not one of those we know", kAllowed);
}

absl::StatusOr<ChatTemplate> ChatTemplate::Load(const std::string& model_dir,
                                                std::string_view name) {
  ATTNRL_ASSIGN_OR_RETURN(const Json config, ReadConfig(model_dir));
  ATTNRL_ASSIGN_OR_RETURN(const TemplateText source, ReadTemplate(model_dir, config));
  ChatTemplate out;
  ATTNRL_ASSIGN_OR_RETURN(out.kind_,
                          name.empty() ? KindByText(source.text, source.where) : KindByName(name));
  out.default_system_ = DefaultSystem(source.text);
  if (out.default_system_.empty()) out.default_system_ = "You are a helpful assistant.";
  Json bos = config.value("bos_token", Json());
  if (bos.is_object()) bos = bos.value("content", Json());
  out.bos_token_ = bos.is_string() ? bos.get<std::string>() : "";
  return out;
}

std::string_view ChatTemplate::name() const { return kNames[static_cast<size_t>(kind_)]; }

absl::StatusOr<std::string> ChatTemplate::Render(const std::vector<ChatMessage>& messages,
                                                 bool add_generation_prompt) const {
  switch (kind_) {
    case Kind::kChatml:
    case Kind::kChatmlDefaultSystem:
      return RenderChatml(messages, add_generation_prompt);
    case Kind::kDeepseekR1:
    case Kind::kDeepseekR1Think:
      return RenderDeepseek(messages, add_generation_prompt);
  }
  return absl::InternalError("unknown chat template");
}

std::string ChatTemplate::RenderChatml(const std::vector<ChatMessage>& messages,
                                       bool add_generation_prompt) const {
  std::string out;
  const auto turn = [&out](const std::string& role, const std::string& content) {
    out.append("<|im_start|>").append(role).append("\n").append(content).append(kTurnEnds);
  };
  if (kind_ == Kind::kChatmlDefaultSystem && !messages.empty() && messages[0].role != "system") {
    turn("system", default_system_);
  }
  for (const ChatMessage& message : messages) turn(message.role, message.content);
  if (add_generation_prompt) out.append("<|im_start|>assistant\n");
  return out;
}

absl::StatusOr<std::string> ChatTemplate::RenderDeepseek(const std::vector<ChatMessage>& messages,
                                                         bool add_generation_prompt) const {
  std::string system;
  std::string turns;
  for (const ChatMessage& message : messages) {
    if (message.role == "system") {
      system = message.content;
    } else if (message.role == "user") {
      turns.append(kUser).append(message.content);
    } else if (message.role == "assistant") {
      const size_t thought = message.content.rfind("</think>");
      turns.append(kAssistant)
          .append(thought == std::string::npos ? message.content
                                               : message.content.substr(thought + 8))
          .append(kEnd);
    } else {
      return InputError(
          "messages",
          absl::StrCat("role \"", message.role, "\" has no turn in ", std::string(name())),
          "only system, user and assistant have one");
    }
  }
  std::string out = bos_token_ + system + turns;
  if (add_generation_prompt) {
    out.append(kAssistant);
    if (kind_ == Kind::kDeepseekR1Think) out.append("<think>\n");
  }
  return out;
}

}  // namespace attnrl::text
