// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/run_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace attnrl::scheduler {
namespace {

namespace fs = std::filesystem;

uintmax_t SizeOf(const std::string& path) {
  std::error_code none;
  const uintmax_t size = fs::file_size(path, none);
  return none ? 0 : size;
}

// The greatest N of the entries <prefix>N of a folder.
std::optional<uint32_t> Newest(const std::string& folder, std::string_view prefix) {
  std::optional<uint32_t> newest;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    uint32_t number = 0;
    if (!name.starts_with(prefix) || !absl::SimpleAtoi(name.substr(prefix.size()), &number)) {
      continue;
    }
    newest = std::max(newest.value_or(0), number);
  }
  return newest;
}

}  // namespace

absl::Status CheckDatabaseIsThere(const std::string& database, const std::string& records,
                                  const std::string& run_dir) {
  if (SizeOf(database) > 0 || SizeOf(database + "-wal") > 0) return absl::OkStatus();
  return CheckNoRecordsAreThere(database, records, run_dir);
}

absl::Status CheckNoRecordsAreThere(const std::string& database, const std::string& records,
                                    const std::string& run_dir) {
  std::vector<std::string> newer;
  for (const char* name : {"metrics.jsonl", "events.jsonl"}) {
    const uintmax_t bytes = SizeOf(absl::StrCat(records, "/", name));
    if (bytes > 0) newer.push_back(absl::StrCat(name, " (", bytes, " bytes)"));
  }
  // Step 0 is written before the learner first asks for a batch.
  if (const auto step = Newest(run_dir + "/checkpoints", "step-"); step.value_or(0) > 0) {
    newer.push_back(absl::StrCat("checkpoints/step-", *step));
  }
  if (newer.empty()) return absl::OkStatus();
  return InputError(
      database,
      absl::StrCat("is missing, but ", records == run_dir ? run_dir : records + " or " + run_dir,
                   " holds ", absl::StrJoin(newer, ", "), " of a run"),
      kPutBack);
}

absl::Status CheckRecordsAreThere(const StoreLocation& store, const std::string& records,
                                  uint32_t committed) {
  if (committed == 0 || SizeOf(absl::StrCat(records, "/metrics.jsonl")) > 0) {
    return absl::OkStatus();
  }
  return InputError(store.name(),
                    absl::StrCat("holds ", committed, " steps of the run ", store.run_id,
                                 ", whose records are not in ", records),
                    "observe.records where they are, or a run.id that no other run has");
}

absl::Status CheckDatabaseIsNotBehind(const std::string& database, const std::string& run_dir,
                                      uint32_t committed) {
  const auto step = Newest(run_dir + "/checkpoints", "step-");
  if (step.value_or(0) <= committed + 1) return absl::OkStatus();
  return InputError(database,
                    absl::StrCat("ends at step ", committed, ", but ", run_dir,
                                 " holds checkpoints/step-", *step),
                    kPutBack);
}

}  // namespace attnrl::scheduler
