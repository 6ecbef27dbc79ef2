// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/prompts.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::tools {

absl::StatusOr<std::vector<int32_t>> PromptReader::Read(const storage::JsonLine& line) {
  if (storage::HasField(line, "prompt_ids")) {
    ATTNRL_ASSIGN_OR_RETURN(std::vector<int32_t> ids, storage::IntListField(line, "prompt_ids"));
    ATTNRL_RETURN_IF_ERROR(Check(ids, line.where));
    return ids;
  }
  if (!data_set::HasQuestion(line, {})) {
    return storage::BadRecord(line, "no prompt", "\"prompt\", \"messages\" or \"prompt_ids\"");
  }
  ATTNRL_ASSIGN_OR_RETURN(const data_set::Question question, data_set::QuestionOf(line, {}));
  return Read(question, line.where);
}

absl::StatusOr<std::vector<int32_t>> PromptReader::Read(const data_set::Question& question,
                                                        const std::string& where) {
  const absl::StatusOr<std::string> text = texts_.Of(question);
  if (!text.ok()) return Annotate(text.status(), where);
  std::vector<int32_t> ids = tokenizer_.Encode(*text);
  ATTNRL_RETURN_IF_ERROR(Check(ids, where));
  return ids;
}

absl::Status PromptReader::Check(const std::vector<int32_t>& ids, const std::string& where) const {
  if (ids.empty()) return InputError(where, "the prompt is empty", "at least one token");
  if (static_cast<int64_t>(ids.size()) >= options_.context) {
    return InputError(where, absl::StrCat("a prompt of ", ids.size(), " tokens"),
                      absl::StrCat("at most ", options_.context - 1,
                                   ", so that one more fits the model's context"));
  }
  for (const int32_t id : ids) {
    if (id >= 0 && id < options_.vocabulary) continue;
    return InputError(where, absl::StrCat("token id ", id),
                      absl::StrCat("0 to ", options_.vocabulary - 1));
  }
  return absl::OkStatus();
}

}  // namespace attnrl::tools
