// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/records/tree_files.h"

#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/files.h"

namespace attnrl::scheduler {

std::string TreeFileName(uint64_t batch, bool compressed) {
  return absl::StrCat("batch-", batch, ".jsonl", compressed ? ".zst" : "");
}

std::optional<uint32_t> BatchOfTreeFile(std::string_view name) {
  constexpr std::string_view kBegin = "batch-", kEnd = ".jsonl", kCompressedEnd = ".jsonl.zst";
  const std::string_view end = name.ends_with(kEnd) ? kEnd : kCompressedEnd;
  if (!name.starts_with(kBegin) || !name.ends_with(end)) return std::nullopt;
  const std::string number(name.substr(kBegin.size(), name.size() - kBegin.size() - end.size()));
  uint32_t batch = 0;
  if (!absl::SimpleAtoi(number, &batch)) return std::nullopt;
  return batch;
}

std::vector<std::string> TreeFiles(const std::string& folder) {
  std::multimap<uint32_t, std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (const auto batch = BatchOfTreeFile(entry.path().filename().string())) {
      found.emplace(*batch, entry.path().string());
    }
  }
  std::vector<std::string> paths;
  for (auto& [batch, path] : found) paths.push_back(std::move(path));
  return paths;
}

absl::Status RemoveTreeFilesBefore(const std::string& folder, uint32_t batch) {
  for (const std::string& path : TreeFiles(folder)) {
    if (BatchOfTreeFile(std::filesystem::path(path).filename().string()) >= batch) break;
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(path));
  }
  return absl::OkStatus();
}

}  // namespace attnrl::scheduler
