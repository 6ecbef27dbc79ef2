// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/files.h"
#include "services/learner/client/version_receiver.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// A folder in which the processes of a machine share versions: one of them fetches a version into
// it, all map that one copy. FOLDER/<digest>.version has the bytes, then the manifest and its
// length; it appears whole, by rename. Who fetches it holds <digest>.version.lock, and gives that a
// new date whenever more has come.
// Meanwhile the bytes are in <digest>.version.part, where they stay when that process is killed.
// There is no note of what has come: the next one computes the SHA-256 of every chunk and takes
// those that the learner's manifest names (VersionReceiver), so that neither a half-written nor a
// damaged chunk is believed. Of a CRC-32C there would have to be a note, and a chunk has none in
// the manifest. Versions have a digest here, as it is printed.
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

  // Room for a version of `total` bytes that the caller has the right to fetch, with what another
  // process has fetched of it. Removes before it all but the newest one and what nobody fetches any
  // more, and where there is no room the newest one, too; who has mapped them keeps them.
  // RESOURCE_EXHAUSTED names the path where the disk is full even so.
  absl::StatusOr<VersionRoom> Begin(const Version& version, uint64_t total) const;

  // Makes a version that is whole in such a room durable, under its name. As Begin.
  absl::Status Keep(const VersionData& data) const;

 private:
  std::string PathOf(const Version& version) const;
  // Removes all versions but so many of the newest, and what killed processes left of any but
  // `own`.
  absl::Status Prune(const Version& own, size_t kept) const;
  // Of the version at `path`, unless a process fetches it.
  absl::Status RemoveLeftovers(const std::string& path) const;

  const std::string folder_;
};

}  // namespace attnrl::learner
