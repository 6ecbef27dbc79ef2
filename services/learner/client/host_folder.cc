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
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/storage/file_error.h"
#include "common/storage/file_writer.h"
#include "services/learner/client/piece_wire.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

constexpr char kSuffix[] = ".version";
constexpr char kLock[] = ".lock";
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

absl::Status HostFolder::Write(const VersionData& data) const {
  const std::string manifest = ToProto(data).SerializeAsString();
  const uint64_t length = manifest.size();
  ATTNRL_ASSIGN_OR_RETURN(storage::FileWriter writer,
                          storage::FileWriter::Create(PathOf(data.version)));
  for (size_t chunk = 0; chunk < data.chunks(); ++chunk) {
    ATTNRL_RETURN_IF_ERROR(writer.Append(data.Chunk(chunk)));
    GoOn(data.version);
  }
  ATTNRL_RETURN_IF_ERROR(writer.Append(manifest));
  ATTNRL_RETURN_IF_ERROR(writer.Append({reinterpret_cast<const char*>(&length), sizeof(length)}));
  return writer.Finish();
}

absl::Status HostFolder::Keep(const VersionData& data) const {
  ATTNRL_RETURN_IF_ERROR(Prune(data.version, kKept - 1));
  const absl::Status written = Write(data);
  if (!absl::IsResourceExhausted(written)) return written;
  ATTNRL_RETURN_IF_ERROR(Prune(data.version, 0));
  return Write(data);
}

absl::Status HostFolder::Prune(const Version& own, size_t kept) const {
  std::vector<std::pair<fs::file_time_type, std::string>> files;
  std::vector<std::string> unfinished;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().extension() != kSuffix) continue;
    const auto written = entry.last_write_time(error);
    if (error) continue;  // another process has removed it
    if (entry.path().filename().string().starts_with(storage::kUnfinished)) {
      unfinished.push_back(entry.path());
    } else {
      files.emplace_back(written, entry.path());
    }
  }
  for (const std::string& path : unfinished) {
    ATTNRL_RETURN_IF_ERROR(RemoveUnlessWritten(path, PathOf(own)));
  }
  std::sort(files.rbegin(), files.rend());
  for (size_t i = kept; i < files.size(); ++i) {
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(files[i].second));
    if (files[i].second == PathOf(own)) continue;
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(files[i].second + kLock));
  }
  return absl::OkStatus();
}

// Its writer holds the lock of the version, by whose name it ends.
absl::Status HostFolder::RemoveUnlessWritten(const std::string& unfinished,
                                             const std::string& own) const {
  const std::string path = absl::StrCat(folder_, "/", unfinished.substr(unfinished.rfind('-') + 1));
  if (path == own) return storage::RemoveTree(unfinished);
  {
    const auto lock = storage::FileLock::AcquireFile(path + kLock, folder_);
    if (IsInputError(lock.status())) return absl::OkStatus();
    ATTNRL_RETURN_IF_ERROR(lock.status());
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(unfinished));
  }
  return fs::exists(path) ? absl::OkStatus() : storage::RemoveTree(path + kLock);
}

}  // namespace attnrl::learner
