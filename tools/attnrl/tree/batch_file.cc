// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/batch_file.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest.h"
#include "common/base/status.h"
#include "common/config/records_folder.h"
#include "common/json/json.h"
#include "common/storage/jsonl.h"
#include "services/branch_scheduler/records/tree_files.h"
#include "tools/attnrl/hint.h"

namespace attnrl::tools {
namespace {

constexpr size_t kNamedIds = 3;
constexpr size_t kComparedBytes = 200;  // of an id; a longer one is told apart by less

size_t Distance(std::string_view a, std::string_view b) {
  return EditDistance(a.substr(0, kComparedBytes), b.substr(0, kComparedBytes));
}

}  // namespace

absl::StatusOr<std::string> BatchFile(const std::string& run_directory, int64_t batch) {
  std::error_code error;
  const std::string folder = config::RecordsFolder(run_directory) + "/trees";
  if (!std::filesystem::is_directory(run_directory, error)) {
    const std::string runs = RunsBeside(run_directory);
    return InputError(run_directory, "there is no such directory",
                      runs.empty() ? "the directory of a run" : runs);
  }
  const bool holds_run = std::filesystem::exists(run_directory + "/config.yaml", error);
  if (!std::filesystem::is_directory(folder, error) && !holds_run) {
    return InputError(run_directory, "holds no run: it has no folder trees/",
                      "the directory of a run");
  }
  for (const bool compressed : {true, false}) {
    const std::string name = scheduler::TreeFileName(static_cast<uint64_t>(batch), compressed);
    if (std::filesystem::is_regular_file(absl::StrCat(folder, "/", name), error)) {
      return absl::StrCat(folder, "/", name);
    }
  }
  const std::vector<std::string> files = scheduler::TreeFiles(folder);
  const auto batch_of = [](const std::string& path) {
    return *scheduler::BatchOfTreeFile(std::filesystem::path(path).filename().string());
  };
  std::string there = "the run has trained no batch yet";
  if (files.size() == 1) there = absl::StrCat("the run has batch ", batch_of(files[0]));
  if (files.size() > 1) {
    there = absl::StrCat("the run has batches ", batch_of(files.front()), " to ",
                         batch_of(files.back()));
  }
  return InputError(absl::StrCat("--batch ", batch), "there is no such batch in " + folder, there);
}

absl::StatusOr<text::Tokenizer> TokenizerOf(const std::string& run_directory,
                                            const std::string& model) {
  if (!model.empty()) return text::Tokenizer::Load(model);
  const std::string folder = run_directory + "/checkpoints";
  std::vector<std::string> checkpoints;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with("step-")) {
      checkpoints.push_back(entry.path().string());
    }
  }
  std::sort(checkpoints.begin(), checkpoints.end());  // the errors are the same each time
  std::string first;
  for (const std::string& checkpoint : checkpoints) {
    absl::StatusOr<text::Tokenizer> tokenizer = text::Tokenizer::Load(checkpoint);
    if (tokenizer.ok()) return tokenizer;
    if (first.empty()) first = absl::StrCat(" (", std::string(tokenizer.status().message()), ")");
  }
  return InputError(
      folder, absl::StrCat("no checkpoint has a tokenizer that can be read", first),
      "at least one is needed to show what was sampled, or --model with the run's model");
}

absl::StatusOr<nlohmann::json> FindProblem(const std::string& path, const std::string& problem_id) {
  std::optional<nlohmann::json> found;
  std::vector<std::string> ids;
  ATTNRL_RETURN_IF_ERROR(
      storage::ReadJsonLines(path, false, nullptr, [&](const storage::JsonLine& line) {
        ATTNRL_ASSIGN_OR_RETURN(const nlohmann::json id, storage::AnyField(line, "problem_id"));
        ids.push_back(id.is_string() ? id.get<std::string>() : PrintJson(id));
        if (!found && ids.back() == problem_id) found = line.value;
        return absl::OkStatus();
      }));
  if (!found) return NoSuchProblem(path, problem_id, std::move(ids));
  return *std::move(found);
}

absl::Status NoSuchProblem(const std::string& path, const std::string& problem_id,
                           std::vector<std::string> ids) {
  const std::string what = absl::StrCat("there is no such problem in ", path);
  if (ids.empty()) return InputError("--problem " + problem_id, what, "the batch is empty");
  const size_t all = ids.size();
  std::stable_sort(ids.begin(), ids.end(), [&](const std::string& a, const std::string& b) {
    return Distance(a, problem_id) < Distance(b, problem_id);
  });
  ids.resize(std::min(all, kNamedIds));
  return InputError("--problem " + problem_id, what,
                    absl::StrCat(all > kNamedIds ? absl::StrCat("the nearest of ", all, " are ")
                                                 : std::string("the batch has "),
                                 absl::StrJoin(ids, ", ")));
}

}  // namespace attnrl::tools
