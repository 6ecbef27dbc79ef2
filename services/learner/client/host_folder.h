// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/files.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// A folder in which the processes of a machine share versions: one of them fetches a version and
// writes it there, all map that one copy. FOLDER/<digest>.version has the bytes, then the manifest
// and its length; it appears whole, by rename. Who fetches it holds <digest>.version.lock, and
// gives that a new date whenever more has come. Versions have a digest here, as it is printed.
// Thread-safe. Memory: none of its own, what is mapped is the system's to keep or to read again.
class HostFolder {
 public:
  // Made where it isn't there.
  explicit HostFolder(std::string folder) : folder_(std::move(folder)) {}

  // Maps a version and computes its digest and those of its chunks. NOT_FOUND where nobody has
  // written it; a damaged one is removed. Those of storage::ReadFile where it can't be read.
  absl::StatusOr<std::shared_ptr<const VersionData>> Open(const Version& version) const;

  // The right to fetch a version, until the lock goes; nullopt where another one has it.
  absl::StatusOr<std::optional<storage::FileLock>> TryLock(const Version& version) const;

  // Whoever has the right says that its fetch goes on.
  void GoOn(const Version& version) const;
  // When that was last said, for comparing with another time of the same file.
  std::filesystem::file_time_type WentOn(const Version& version) const;

  // Writes a version that the caller has the right to fetch; goes on meanwhile. Removes before it
  // all but the newest one, and where there is no room that, too; who has mapped them keeps them.
  // RESOURCE_EXHAUSTED names the path where the disk is full even so.
  absl::Status Keep(const VersionData& data) const;

 private:
  std::string PathOf(const Version& version) const;
  absl::Status Write(const VersionData& data) const;
  // Removes all versions but so many of the newest, and what killed processes left of any.
  absl::Status Prune(const Version& own, size_t kept) const;
  absl::Status RemoveUnlessWritten(const std::string& unfinished, const std::string& own) const;

  const std::string folder_;
};

}  // namespace attnrl::learner
