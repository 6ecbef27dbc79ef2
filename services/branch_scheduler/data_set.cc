// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/data_set.h"

#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/storage/digest.h"
#include "common/storage/files.h"
#include "common/storage/jsonl.h"

namespace attnrl::scheduler {
namespace {

// A number is as good an id as a text.
absl::StatusOr<std::string> ReadId(const storage::JsonLine& line) {
  if (auto id = line.value.find("id"); id != line.value.end() && id->is_number_integer()) {
    return PrintJson(*id);
  }
  ATTNRL_ASSIGN_OR_RETURN(std::string id, storage::StringField(line, "id"));
  if (id.empty()) return InputError(line.where, "field \"id\" is empty", "a unique id is needed");
  return id;
}

absl::StatusOr<std::vector<std::string>> ReadAnswers(const storage::JsonLine& line) {
  ATTNRL_ASSIGN_OR_RETURN(std::vector<std::string> answers,
                          storage::StringListField(line, "answers"));
  if (answers.empty()) {
    return InputError(line.where, "field \"answers\" is empty",
                      "at least one accepted answer is needed");
  }
  return answers;
}

absl::StatusOr<PromptMessages> ReadPrompt(const storage::JsonLine& line) {
  // A conversation comes first, as for the tools (tools/attnrl/sampling/prompts.cc).
  if (!storage::HasField(line, "messages")) {
    ATTNRL_ASSIGN_OR_RETURN(std::optional<std::string> text,
                            storage::OptionalStringField(line, "prompt"));
    if (text.has_value()) return PromptMessages{{"", *std::move(text)}};
    return InputError(line.where, "field \"prompt\" is missing",
                      "a text or \"messages\" is needed");
  }
  auto messages = line.value.find("messages");
  const absl::Status bad = InputError(line.where, "field \"messages\" is not a conversation",
                                      "a list of {\"role\", \"content\"} texts is needed");
  if (!messages->is_array() || messages->empty()) return bad;
  PromptMessages prompt;
  for (const auto& message : *messages) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string() ||
        !message.contains("content") || !message["content"].is_string()) {
      return bad;
    }
    prompt.emplace_back(message["role"].get<std::string>(), message["content"].get<std::string>());
  }
  return prompt;
}

}  // namespace

absl::StatusOr<DataSet> LoadDataSet(const std::string& key, const std::string& path,
                                    uint32_t max_prompt_tokens, const PromptEncoder& encode) {
  DataSet set;
  std::map<std::string, std::string> where_of_id;
  auto use = [&](const storage::JsonLine& line) -> absl::Status {
    DataProblem problem;
    ATTNRL_ASSIGN_OR_RETURN(problem.id, ReadId(line));
    auto [first, fresh] = where_of_id.emplace(problem.id, line.where);
    if (!fresh) {
      return InputError(line.where, absl::StrCat("id \"", OneLine(problem.id), "\" is used twice"),
                        absl::StrCat("ids must be unique; the other one is at ", first->second));
    }
    ATTNRL_ASSIGN_OR_RETURN(problem.answers, ReadAnswers(line));
    ATTNRL_ASSIGN_OR_RETURN(PromptMessages messages, ReadPrompt(line));
    auto ids = encode(messages);
    if (!ids.ok()) return Annotate(ids.status(), line.where);
    if (ids->empty()) {
      return InputError(line.where, "the prompt has no tokens", "at least one is needed");
    }
    if (ids->size() > max_prompt_tokens) {
      return InputError(line.where, absl::StrCat("the prompt has ", ids->size(), " tokens"),
                        absl::StrCat("rollout.max_prompt_tokens allows ", max_prompt_tokens));
    }
    problem.prompt_ids = *std::move(ids);
    set.problems.push_back(std::move(problem));
    return absl::OkStatus();
  };
  auto bytes = storage::ReadFile(path);
  if (!bytes.ok()) {
    return InputError(key, std::string(bytes.status().message()),
                      "a readable JSON Lines file is needed");
  }
  set.digest = storage::Sha256Hex(*bytes);
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(path, /*skip_bad=*/false, nullptr, use));
  if (set.problems.empty()) {
    return InputError(path, "the data set has no problem", "at least one is needed");
  }
  return set;
}

}  // namespace attnrl::scheduler
