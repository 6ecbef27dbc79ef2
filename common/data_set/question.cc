// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/question.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace attnrl::data_set {
namespace {

using nlohmann::json;

constexpr char kConversation[] = "a list of {\"role\", \"content\"} texts is needed";
constexpr char kEither[] = "a text or a list of {\"role\", \"content\"} texts is needed";

// In order of precedence. What is called a prompt was made to be asked; a problem beside it is what
// it was made of.
const std::vector<std::string>& RecognisedQuestions() {
  static const auto* names =
      new std::vector<std::string>{"messages", "prompt", "problem", "question"};
  return *names;
}

// The recognised name, also with a capital letter, as AIME has it.
std::optional<Field> FindRecognised(const json& record, const std::string& name) {
  if (auto field = FindField(record, name)) return field;
  std::string capital = name;
  capital[0] = absl::ascii_toupper(static_cast<unsigned char>(capital[0]));
  return FindField(record, capital);
}

bool EndsWithTheAssistant(const json& value) {
  return value.is_array() && !value.empty() && value.back().is_object() &&
         value.back().value("role", json()) == json("assistant");
}

absl::StatusOr<Question> Conversation(const storage::JsonLine& line, const Field& field) {
  if (field.value->empty()) {
    return storage::BadRecord(line, absl::StrCat("field \"", field.name, "\" has no message"),
                              kConversation);
  }
  Question question;
  for (const json& message : *field.value) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string() ||
        !message.contains("content") || !message["content"].is_string()) {
      return storage::BadRecord(
          line, absl::StrCat("field \"", field.name, "\" is not a conversation"), kConversation);
    }
    question.emplace_back(message["role"].get<std::string>(),
                          message["content"].get<std::string>());
  }
  if (EndsWithTheAssistant(*field.value)) {
    return storage::BadRecord(
        line, absl::StrCat("field \"", field.name, "\" ends with the assistant's message"),
        "the last message must be the one to answer");
  }
  return question;
}

absl::StatusOr<Question> ReadQuestion(const storage::JsonLine& line, const Field& field) {
  const bool listed = field.value->is_array();
  if (listed) return Conversation(line, field);
  const bool conversation = field.name == "messages";  // whatever else it is, it is no text
  if (field.value->is_string() && !conversation) {
    return Question{{"", field.value->get<std::string>()}};
  }
  return WrongType(line, field, conversation ? kConversation : kEither);
}

// The field to take: one that is no answered conversation, if there is any.
std::optional<Field> ChooseQuestion(const json& record) {
  std::optional<Field> answered;
  for (const std::string& name : RecognisedQuestions()) {
    std::optional<Field> field = FindRecognised(record, name);
    if (!field.has_value()) continue;
    if (!EndsWithTheAssistant(*field->value)) return field;
    if (!answered.has_value()) answered = std::move(field);
  }
  return answered;
}

std::optional<Field> FindQuestion(const storage::JsonLine& line, const FieldNames& names) {
  if (!names.question.empty()) {
    std::optional<Field> field = FindField(line.value, names.question);
    if (field.has_value() || !names.or_recognised) return field;
  }
  return ChooseQuestion(line.value);
}

}  // namespace

bool HasQuestion(const storage::JsonLine& line, const FieldNames& names) {
  return FindQuestion(line, names).has_value();
}

absl::StatusOr<Question> QuestionOf(const storage::JsonLine& line, const FieldNames& names) {
  if (const std::optional<Field> field = FindQuestion(line, names))
    return ReadQuestion(line, *field);
  const bool configured = !names.question.empty() && !names.or_recognised;
  return Missing(line, "question",
                 configured ? std::vector<std::string>{names.question} : RecognisedQuestions(),
                 names, configured);
}

std::string TextOf(const Question& question) {
  std::string text;
  for (const auto& [role, content] : question) {
    if (role != "system") absl::StrAppend(&text, " ", content);
  }
  absl::RemoveExtraAsciiWhitespace(&text);
  return text;
}

}  // namespace attnrl::data_set
