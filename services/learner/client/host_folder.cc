// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/host_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/storage/file_error.h"
#include "common/storage/files.h"
#include "services/learner/client/piece_wire.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

constexpr char kSuffix[] = ".version";
constexpr char kLock[] = ".lock";
constexpr char kPart[] = ".part";
constexpr size_t kKept = 2;  // one as the base of the other's differences
constexpr uint64_t kMaxManifestBytes = 64 << 20;

absl::Status Damaged(const std::string& path, const char* what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

bool ReadAt(int descriptor, uint64_t offset, void* out, size_t size) {
  return ::pread(descriptor, out, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

// What the file at `path` holds, as its manifest says.
absl::StatusOr<VersionData> Map(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return storage::FileError(path, "opening", errno);
  const absl::Cleanup close = [file] { ::close(file); };
  struct stat info {};
  if (::fstat(file, &info) != 0) return storage::FileError(path, "reading", errno);
  const auto size = static_cast<uint64_t>(info.st_size);
  uint64_t length = 0;
  if (size < sizeof(length) || !ReadAt(file, size - sizeof(length), &length, sizeof(length)) ||
      length > std::min(size - sizeof(length), kMaxManifestBytes)) {
    return Damaged(path, "has no manifest");
  }
  const uint64_t total = size - sizeof(length) - length;
  std::string bytes(length, '\0');
  v1::VersionManifest manifest;
  if (!ReadAt(file, total, bytes.data(), length) || !manifest.ParseFromString(bytes)) {
    return Damaged(path, "has no manifest");
  }
  VersionData data = FromProto(manifest);
  if (!Place(&data, total, /*most=*/total).ok()) {
    return Damaged(path, "has another manifest than its length");
  }
  ATTNRL_ASSIGN_OR_RETURN(data.bytes, WeightBytes::Map(file, path, total));
  return data;
}

// Whether names, types, shapes, bytes and chunks are those that the digest stands for.
bool IsWhole(const VersionData& data, const std::string& digest) {
  VersionData again = data;
  Seal(&again);
  return again.version.digest == digest && again.chunk_digests == data.chunk_digests;
}

// Maps the file at `path`, which is made where it isn't there. Its disk has room for all of it
// afterwards: without, that would be an error here, but a signal where it is written.
absl::StatusOr<VersionRoom> Reserve(const std::string& path, uint64_t total) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return storage::FileError(path, "opening", errno);
  const absl::Cleanup close = [file] { ::close(file); };
  struct stat info {};
  if (::fstat(file, &info) != 0) return storage::FileError(path, "reading", errno);
  int error = storage::InjectedFault("write", path);
  if (error == 0 && total > 0) error = ::posix_fallocate(file, 0, static_cast<off_t>(total));
  if (error != 0) return storage::FileError(path, "making room", error);
  ATTNRL_ASSIGN_OR_RETURN(WeightBytes bytes, WeightBytes::MapRoom(file, path, total));
  return VersionRoom{.bytes = std::move(bytes), .begun = info.st_size > 0};
}

}  // namespace

std::string HostFolder::PathOf(const Version& version) const {
  return absl::StrCat(folder_, "/", version.digest, kSuffix);
}

absl::StatusOr<std::shared_ptr<const VersionData>> HostFolder::Open(const Version& version) const {
  const std::string path = PathOf(version);
  absl::StatusOr<VersionData> data = Map(path);
  if (data.ok() && !IsWhole(*data, version.digest)) {
    data = Damaged(path, "has another digest than its name says");
  }
  if (absl::IsDataLoss(data.status())) {
    observe::LogWarning("a damaged version is removed, and fetched again",
                        {{"reason", std::string(data.status().message())}});
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(path));
    return absl::NotFoundError(path);
  }
  if (!data.ok()) return data.status();
  data->version = version;  // the same bits may have several numbers
  return std::make_shared<const VersionData>(*std::move(data));
}

absl::StatusOr<std::optional<storage::FileLock>> HostFolder::TryLock(const Version& version) const {
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(folder_));
  absl::StatusOr<storage::FileLock> lock =
      storage::FileLock::AcquireFile(PathOf(version) + kLock, folder_);
  if (IsInputError(lock.status())) return std::optional<storage::FileLock>();
  if (!lock.ok()) return lock.status();
  return std::optional<storage::FileLock>(*std::move(lock));
}

void HostFolder::GoOn(const Version& version) const {
  std::error_code error;  // who waits then has only its patience
  fs::last_write_time(PathOf(version) + kLock, fs::file_time_type::clock::now(), error);
}

fs::file_time_type HostFolder::WentOn(const Version& version) const {
  std::error_code error;
  const fs::file_time_type time = fs::last_write_time(PathOf(version) + kLock, error);
  return error ? fs::file_time_type::min() : time;
}

absl::StatusOr<VersionRoom> HostFolder::Begin(const Version& version, uint64_t total) const {
  const std::string path = PathOf(version) + kPart;
  ATTNRL_RETURN_IF_ERROR(Prune(version, kKept - 1));
  absl::StatusOr<VersionRoom> room = Reserve(path, total);
  if (!absl::IsResourceExhausted(room.status())) return room;
  ATTNRL_RETURN_IF_ERROR(Prune(version, 0));
  room = Reserve(path, total);
  if (!room.ok()) ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(path));
  return room;
}

absl::Status HostFolder::Keep(const VersionData& data) const {
  const std::string part = PathOf(data.version) + kPart;
  const std::string manifest = ToProto(data).SerializeAsString();
  const uint64_t length = manifest.size();
  const int file = ::open(part.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return storage::FileError(part, "opening", errno);
  const absl::Cleanup close = [file] { ::close(file); };
  const auto end = static_cast<off_t>(data.bytes.size());
  // What may lie behind the bytes is the manifest of one that was killed here.
  if (::ftruncate(file, end) != 0 || ::lseek(file, end, SEEK_SET) != end) {
    return storage::FileError(part, "writing", errno);
  }
  // Room for the bytes alone has been made.
  const auto make_room = [&] {
    const int error = ::posix_fallocate(file, end, static_cast<off_t>(length + sizeof(length)));
    return error == 0 ? absl::OkStatus() : storage::FileError(part, "making room", error);
  };
  absl::Status room = make_room();
  if (absl::IsResourceExhausted(room)) {
    ATTNRL_RETURN_IF_ERROR(Prune(data.version, 0));
    room = make_room();
  }
  ATTNRL_RETURN_IF_ERROR(room);
  ATTNRL_RETURN_IF_ERROR(storage::WriteAll(file, part, manifest));
  ATTNRL_RETURN_IF_ERROR(
      storage::WriteAll(file, part, {reinterpret_cast<const char*>(&length), sizeof(length)}));
  ATTNRL_RETURN_IF_ERROR(storage::SyncDescriptor(file, part));
  return storage::RenameDurably(part, PathOf(data.version));
}

absl::Status HostFolder::Prune(const Version& own, size_t kept) const {
  std::vector<std::pair<fs::file_time_type, std::string>> whole;
  std::set<std::string> begun;  // each has a lock, and may have more
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().extension() == kLock) begun.insert(fs::path(entry).replace_extension());
    if (entry.path().extension() != kSuffix) continue;
    const auto written = entry.last_write_time(error);
    if (!error) whole.emplace_back(written, entry.path());  // else another process has removed it
  }
  std::sort(whole.rbegin(), whole.rend());
  for (size_t i = 0; i < whole.size(); ++i) {
    if (i >= kept) {
      ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(whole[i].second));
    } else {
      begun.erase(whole[i].second);
    }
  }
  begun.erase(PathOf(own));
  for (const std::string& path : begun) ATTNRL_RETURN_IF_ERROR(RemoveLeftovers(path));
  return absl::OkStatus();
}

absl::Status HostFolder::RemoveLeftovers(const std::string& path) const {
  const auto lock = storage::FileLock::AcquireFile(path + kLock, folder_);
  if (IsInputError(lock.status())) return absl::OkStatus();
  ATTNRL_RETURN_IF_ERROR(lock.status());
  ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(path + kPart));
  return storage::RemoveTree(path + kLock);
}

}  // namespace attnrl::learner
