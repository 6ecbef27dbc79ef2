// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/storage/files.h"

namespace attnrl::learner {

// A run's own place in a folder of a machine: FOLDER/run-<16 hex digits>, which the processes of
// the run hold for as long as they live, by shared locks on FOLDER/run-<...>.lock. The last one
// that leaves removes both. What killed processes left waits for others of the same run, and goes
// when a process of another run comes. Nothing else in the folder is touched. One thread.
class RunFolder {
 public:
  // `run`: what tells it from others, any text. Waits 10 s at most for a process that removes what
  // the run had. The errors of common/storage/files.h where the folder can't be used.
  static absl::StatusOr<std::unique_ptr<RunFolder>> Enter(const std::string& folder,
                                                          std::string_view run);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  // A folder, which is there.
  const std::string& path() const { return path_; }

 private:
  RunFolder(std::string path, storage::FileLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string path_;
  std::optional<storage::FileLock> lock_;
};

}  // namespace attnrl::learner
