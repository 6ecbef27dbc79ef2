// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/files.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// A folder in which the processes of a machine share versions: one of them fetches a version and
// writes it there, all map that one copy. FOLDER/<digest>.version has the bytes, then the manifest
// and its length; it appears whole, by rename. Thread-safe. Memory: none of its own, what is mapped
// is the system's to keep or to read again.
class HostFolder {
 public:
  // Made where it isn't there.
  explicit HostFolder(std::string folder) : folder_(std::move(folder)) {}

  // Maps a version that has a digest, and checks all its chunks. NOT_FOUND where nobody has written
  // it; a damaged one is removed. Those of storage::ReadFile where it can't be read.
  absl::StatusOr<std::shared_ptr<const VersionData>> Open(const Version& version) const;

  // The right to fetch a version, until the lock goes; nullopt where another one has it.
  absl::StatusOr<std::optional<storage::FileLock>> TryLock(const Version& version) const;

  // Writes a version. Removes all but the two newest; who has mapped them keeps them.
  // RESOURCE_EXHAUSTED names the path where the disk is full.
  absl::Status Keep(const VersionData& data) const;

 private:
  std::string PathOf(const Version& version) const;
  absl::Status Prune() const;

  const std::string folder_;
};

}  // namespace attnrl::learner
