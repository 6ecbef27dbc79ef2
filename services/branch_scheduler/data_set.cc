// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/data_set.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/data_set/problems.h"
#include "common/storage/digest.h"
#include "common/storage/files.h"

namespace attnrl::scheduler {
namespace {

bool IsBlank(const data_set::Question& question) {
  return std::all_of(question.begin(), question.end(), [](const auto& message) {
    return absl::StripAsciiWhitespace(message.second).empty();
  });
}

}  // namespace

std::vector<DataPart> DataSet::Parts() const {
  return parts.empty() ? std::vector<DataPart>{{0, problems.size()}} : parts;
}

DataSet Join(std::vector<DataSet> sets) {
  DataSet all;
  all.digest = sets.front().digest;
  for (DataSet& set : sets) {
    all.parts.push_back({all.problems.size(), set.problems.size()});
    all.skipped += set.skipped;
    std::move(set.problems.begin(), set.problems.end(), std::back_inserter(all.problems));
  }
  return all;
}

absl::StatusOr<DataSet> LoadDataSet(const std::string& key, const std::string& path,
                                    const data_set::FieldNames& names, uint32_t max_prompt_tokens,
                                    const PromptEncoder& encode) {
  DataSet set;
  auto use = [&](data_set::Problem problem) -> absl::Status {
    // A chat template would make a prompt of nothing.
    if (IsBlank(problem.question)) {
      return InputError(problem.where, "the prompt is empty", "a question is needed");
    }
    auto ids = encode(problem.question);
    if (!ids.ok()) return Annotate(ids.status(), problem.where);
    if (ids->empty()) {
      return InputError(problem.where, "the prompt has no tokens", "at least one is needed");
    }
    if (ids->size() > max_prompt_tokens) {
      return InputError(problem.where, absl::StrCat("the prompt has ", ids->size(), " tokens"),
                        absl::StrCat("rollout.max_prompt_tokens allows ", max_prompt_tokens));
    }
    set.problems.push_back({std::move(problem.id), *std::move(ids),
                            std::move(problem.answers.texts), std::move(problem.grader)});
    if (names.skip_bad) set.problems.back().where = std::move(problem.where);
    return absl::OkStatus();
  };
  auto bytes = storage::ReadFile(path);
  if (!bytes.ok()) {
    return InputError(key, std::string(bytes.status().message()),
                      "a readable JSON Lines file is needed");
  }
  set.digest = storage::Sha256Hex(*bytes);
  bytes->clear();
  bytes->shrink_to_fit();  // read again a record at a time
  ATTNRL_RETURN_IF_ERROR(data_set::ReadProblems(path, names, use, &set.skipped));
  return set;
}

}  // namespace attnrl::scheduler
