// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/run_folder.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/storage/digest.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

constexpr char kRunName[] = "run-";
constexpr char kRunLock[] = ".lock";
constexpr absl::Duration kEnterPatience = absl::Seconds(10);
constexpr absl::Duration kEnterPoll = absl::Milliseconds(20);

absl::StatusOr<storage::FileLock> ShareRun(const std::string& path) {
  Clock& clock = Clock::Real();
  const absl::Duration end = clock.Monotonic() + kEnterPatience;
  while (true) {
    absl::StatusOr<storage::FileLock> lock = storage::FileLock::Share(path + kRunLock, path);
    if (!IsInputError(lock.status()) || clock.Monotonic() >= end) return lock;
    clock.Sleep(kEnterPoll);
  }
}

// What is at `path`, unless a process holds it. The lock's file goes last, so that whatever is left
// of a process that is killed here has one.
void RemoveUnlessHeld(const std::string& path) {
  const auto lock = storage::FileLock::AcquireFile(path + kRunLock, path);
  if (IsInputError(lock.status())) return;
  absl::Status removed = lock.status();
  if (removed.ok()) removed = storage::RemoveTree(path);
  if (removed.ok()) removed = storage::RemoveTree(path + kRunLock);
  if (!removed.ok()) {
    observe::LogWarning("the weights of a run that has ended stay", {{"reason", removed}});
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunFolder>> RunFolder::Enter(const std::string& folder,
                                                            std::string_view run) {
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(folder));
  const std::string path =
      absl::StrCat(folder, "/", kRunName, storage::Sha256Hex(run).substr(0, 16));
  ATTNRL_ASSIGN_OR_RETURN(storage::FileLock lock, ShareRun(path));
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(path));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const fs::path& file = entry.path();
    if (file.extension() != kRunLock || !file.filename().string().starts_with(kRunName)) continue;
    if (std::string other = fs::path(file).replace_extension(); other != path) {
      RemoveUnlessHeld(other);
    }
  }
  return std::unique_ptr<RunFolder>(new RunFolder(path, std::move(lock)));
}

RunFolder::~RunFolder() {
  lock_.reset();
  RemoveUnlessHeld(path_);
}

}  // namespace attnrl::learner
