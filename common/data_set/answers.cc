// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/answers.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/data_set/number_text.h"
#include "common/data_set/worked.h"
#include "common/json/json.h"

namespace attnrl::data_set {
namespace {

using nlohmann::json;

constexpr char kNeeded[] = "a text, a number or a list of them is needed";

// In order of precedence. AIME writes its names with a capital letter.
const std::vector<std::string>& RecognisedAnswers() {
  static const auto* names = new std::vector<std::string>{
      "answers", "answer", "Answer", "final_answer", "reward_model.ground_truth"};
  return *names;
}
constexpr const char* kSolutions[] = {"solution", "Solution"};

// Without spellings of the same name, for errors.
std::vector<std::string> Named() {
  return {"answer", "answers", "final_answer", "reward_model.ground_truth"};
}

bool IsBlank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

bool IsEmpty(const json& value) {
  return (value.is_string() && IsBlank(value.get_ref<const std::string&>())) ||
         (value.is_array() && value.empty());
}

absl::Status Empty(const storage::JsonLine& line, const Field& field) {
  return storage::BadRecord(line, absl::StrCat("field \"", OneLine(field.name, 40), "\" is empty"),
                            "at least one accepted answer is needed");
}

// A whole number within 64 bits has one spelling.
std::string Number(const storage::JsonLine& line, const json& value,
                   const std::vector<std::string>& path) {
  return value.is_number_float() ? NumberAsWritten(line, path) : PrintJson(value);
}

absl::StatusOr<std::vector<std::string>> ReadList(const storage::JsonLine& line,
                                                  const Field& field) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < field.value->size(); ++i) {
    const json& each = (*field.value)[i];
    if (each.is_string()) {
      if (IsBlank(each.get_ref<const std::string&>())) {
        return storage::BadRecord(
            line,
            absl::StrCat("answer ", i + 1, " of field \"", OneLine(field.name, 40), "\" is empty"),
            "an accepted answer that no response can match is none");
      }
      texts.push_back(each.get<std::string>());
    } else if (each.is_number()) {
      std::vector<std::string> path = field.path;
      path.push_back(absl::StrCat(i));
      texts.push_back(Number(line, each, path));
    } else {
      return WrongType(line, field, kNeeded);
    }
  }
  return texts;
}

// The answers that a field holds, which is there and not empty.
absl::StatusOr<std::vector<std::string>> ReadAnswers(const storage::JsonLine& line,
                                                     const Field& field) {
  if (field.value->is_array()) return ReadList(line, field);
  if (field.value->is_number()) {
    return std::vector<std::string>{Number(line, *field.value, field.path)};
  }
  if (!field.value->is_string()) return WrongType(line, field, kNeeded);
  const auto& text = field.value->get_ref<const std::string&>();
  if (std::optional<std::string> final = FinalAnswer(text)) {
    return std::vector<std::string>{*std::move(final)};
  }
  if (BehindHashes(text).has_value()) {
    return storage::BadRecord(
        line, absl::StrCat("nothing stands behind #### in field \"", OneLine(field.name, 40), "\""),
        "the accepted answer is needed there");
  }
  return std::vector<std::string>{text};
}

absl::StatusOr<Answers> Take(const storage::JsonLine& line, const Field& field) {
  Answers answers;
  ATTNRL_ASSIGN_OR_RETURN(answers.texts, ReadAnswers(line, field));
  answers.field = field.name;
  return answers;
}

// The field to take; an empty one where there is nothing else, for its error.
std::optional<Field> ChooseAnswer(const json& record, const std::vector<std::string>& names) {
  std::optional<Field> empty;
  for (const std::string& name : names) {
    std::optional<Field> field = FindField(record, name);
    if (!field.has_value()) continue;
    if (!IsEmpty(*field->value)) return field;
    if (!empty.has_value()) empty = std::move(field);
  }
  return empty;
}

// The answer of a worked solution; nullopt where there is no solution, or none that ends with an
// answer.
std::optional<Answers> OfSolution(const json& record) {
  for (const char* name : kSolutions) {
    const std::optional<Field> field = FindField(record, name);
    if (!field.has_value() || !field->value->is_string()) continue;
    if (auto answer = FinalAnswer(field->value->get_ref<const std::string&>())) {
      return Answers{{*std::move(answer)}, name};
    }
  }
  return std::nullopt;
}

// Says too why a solution that is there is no answer.
absl::Status NoAnswer(const storage::JsonLine& line, const FieldNames& names) {
  for (const char* name : kSolutions) {
    if (!FindField(line.value, name).has_value()) continue;
    return storage::BadRecord(
        line,
        absl::StrCat("the answer is missing: field \"", name, "\" has neither \\boxed{} nor ####"),
        absl::StrCat("a solution with one of them or a field ", Listed(Named(), "or"), " is needed",
                     names.setting.empty()
                         ? ""
                         : absl::StrCat(", or ", names.setting, "answer names another")));
  }
  std::vector<std::string> looked_for = Named();
  looked_for.emplace_back(kSolutions[0]);
  return Missing(line, "answer", looked_for, names, /*configured=*/false);
}

}  // namespace

absl::StatusOr<Answers> AnswersOf(const storage::JsonLine& line, const FieldNames& names) {
  if (!names.answer.empty()) {
    const std::optional<Field> field = FindField(line.value, names.answer);
    if (field.has_value()) {
      return IsEmpty(*field->value) ? Empty(line, *field) : Take(line, *field);
    }
    if (!names.or_recognised) {
      return Missing(line, "answer", {names.answer}, names, /*configured=*/true);
    }
  }
  const std::optional<Field> field = ChooseAnswer(line.value, RecognisedAnswers());
  if (field.has_value() && !IsEmpty(*field->value)) return Take(line, *field);
  if (std::optional<Answers> answers = OfSolution(line.value)) return *std::move(answers);
  return field.has_value() ? Empty(line, *field) : NoAnswer(line, names);
}

}  // namespace attnrl::data_set
