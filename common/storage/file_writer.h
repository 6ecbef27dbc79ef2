// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::storage {

// Writes a file piece by piece; it appears whole under its name by Finish, or not at all: written
// beside it, synced, renamed over it, and the directory synced. Errors name the path, with the
// codes of files.h. Movable; one thread at a time.
class FileWriter {
 public:
  // Opens the file beside `path`, whose directory exists.
  static absl::StatusOr<FileWriter> Create(const std::string& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  // Removes what was not finished.
  ~FileWriter();

  absl::Status Append(std::string_view bytes);
  absl::Status Finish();

 private:
  FileWriter(std::string path, std::string unfinished, int descriptor);

  std::string path_;
  std::string unfinished_;
  int descriptor_;  // -1: closed
};

// Gives a file a second name, durably; where the file system can't, makes a durable copy. `to`
// isn't there. Codes of files.h.
absl::Status LinkOrCopy(const std::string& from, const std::string& to);

}  // namespace attnrl::storage
