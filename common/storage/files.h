// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::storage {

// Files that survive a kill and a loss of power. Every error names the path. Codes: kNotFound where
// the path is not there, kResourceExhausted where the disk (or quota) is full, kPermissionDenied,
// otherwise kInternal. All functions are thread-safe; none is for two writers of one path.

// The whole file. Refuses directories.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// The same piece by piece, in order.
absl::Status ReadPieces(const std::string& path, const std::function<void(std::string_view)>& take);

// The open descriptor of this process that a path names, through links or not: 1 for /dev/stdout,
// 3 for /dev/fd/3. Such a name is written through the descriptor: what is renamed over the file
// behind it is lost to whoever else writes there.
std::optional<int> NamedDescriptor(const std::string& path);

// Afterwards `path` holds exactly `bytes`, or (on an error, or a kill at any moment) what it held
// before: written beside it, synced, renamed over it, and the directory synced. A link stays one.
// What is no plain file (a descriptor's name, a pipe, /dev/null) is written directly.
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes);

// All of `bytes` to an open file, which `path` names in errors.
absl::Status WriteAll(int descriptor, const std::string& path, std::string_view bytes);

// Creates the directory and its parents where they are missing, durably. An existing one is OK.
absl::Status EnsureDirectory(const std::string& path);

// Renames a file or directory over `to` and syncs the directory that holds `to`. Does not sync
// the content: its writer has done that.
absl::Status RenameDurably(const std::string& from, const std::string& to);

// Removes a file or a directory with all it holds; nothing there is OK. Follows no links.
absl::Status RemoveTree(const std::string& path);

// Removes what a killed WriteFileAtomically left in `directory` (not below it).
absl::Status RemoveUnfinished(const std::string& directory);

// Bytes that an ordinary user can still write on the file system of `path`.
absl::StatusOr<int64_t> FreeBytes(const std::string& path);

// Holds a directory for one process: an exclusive flock on `directory`/.lock, which ends with the
// object or the process, kill -9 included. Movable.
class FileLock {
 public:
  // The directory must exist. InputError "<directory>: in use by process N; ..." when it is held.
  static absl::StatusOr<FileLock> Acquire(const std::string& directory);
  // The same with a lock file of another name, e.g. "RUN_DIR/scheduler.db.lock". Its holder may
  // remove that file: the next one makes another.
  static absl::StatusOr<FileLock> AcquireFile(const std::string& path, const std::string& holds);

  // Together with others that share it; nobody acquires it meanwhile. InputError while one has.
  static absl::StatusOr<FileLock> Share(const std::string& path, const std::string& holds);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  // `operation`: flock's.
  static absl::StatusOr<FileLock> Lock(const std::string& path, const std::string& holds,
                                       int operation);

  int descriptor_ = -1;
};

// Tests only: while it lives, every write, sync and rename of this library asks `fault` first; a
// number other than 0 is the errno that the operation fails with. One at a time.
class ScopedFault {
 public:
  // `operation` is "open", "write", "sync", "rename" or "mkdir".
  using Fault = std::function<int(std::string_view operation, const std::string& path)>;
  explicit ScopedFault(Fault fault);
  ~ScopedFault();
  ScopedFault(const ScopedFault&) = delete;
  ScopedFault& operator=(const ScopedFault&) = delete;
};

}  // namespace attnrl::storage
