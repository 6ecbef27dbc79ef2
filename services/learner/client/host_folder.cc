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

constexpr char kSuffix[] = ".version";
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
  if (!ReadAt(file, total, bytes.data(), length) || !manifest.ParseFromString(bytes) ||
      manifest.total_bytes() != total || manifest.chunk_bytes() == 0) {
    return Damaged(path, "has another manifest than its length");
  }
  VersionData data = FromProto(manifest);
  uint64_t offset = 0;
  for (TensorEntry& tensor : data.tensors) {
    tensor.offset = offset;
    if (tensor.size > total - offset) return Damaged(path, "has tensors beyond its end");
    offset += tensor.size;
  }
  data.bytes = WeightBytes::Map(file, total);
  return data;
}

}  // namespace

std::string HostFolder::PathOf(const Version& version) const {
  return absl::StrCat(folder_, "/", version.digest, kSuffix);
}

absl::StatusOr<std::shared_ptr<const VersionData>> HostFolder::Open(const Version& version) const {
  const std::string path = PathOf(version);
  absl::StatusOr<VersionData> data = Map(path);
  if (data.ok() && (data->version.digest != version.digest ||
                    ChunkDigests(data->bytes.view(), data->chunk_bytes) != data->chunk_digests)) {
    data = Damaged(path, "has other bytes than its name says");
  }
  if (absl::IsDataLoss(data.status())) {
    observe::LogWarning("a damaged version is removed, and fetched again",
                        {{"reason", std::string(data.status().message())}});
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(path));
    return absl::NotFoundError(path);
  }
  if (!data.ok()) return data.status();
  data->version.number = version.number;  // the same bits may have several
  return std::make_shared<const VersionData>(*std::move(data));
}

absl::StatusOr<std::optional<storage::FileLock>> HostFolder::TryLock(const Version& version) const {
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(folder_));
  absl::StatusOr<storage::FileLock> lock =
      storage::FileLock::AcquireFile(PathOf(version) + ".lock", folder_);
  if (IsInputError(lock.status())) return std::optional<storage::FileLock>();
  if (!lock.ok()) return lock.status();
  return std::optional<storage::FileLock>(*std::move(lock));
}

absl::Status HostFolder::Keep(const VersionData& data) const {
  const std::string path = PathOf(data.version);
  const std::string manifest = ToProto(data).SerializeAsString();
  const uint64_t length = manifest.size();
  ATTNRL_ASSIGN_OR_RETURN(storage::FileWriter writer, storage::FileWriter::Create(path));
  ATTNRL_RETURN_IF_ERROR(writer.Append(data.bytes.view()));
  ATTNRL_RETURN_IF_ERROR(writer.Append(manifest));
  ATTNRL_RETURN_IF_ERROR(writer.Append({reinterpret_cast<const char*>(&length), sizeof(length)}));
  ATTNRL_RETURN_IF_ERROR(writer.Finish());
  return Prune();
}

absl::Status HostFolder::Prune() const {
  std::vector<std::pair<std::filesystem::file_time_type, std::string>> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const auto written = entry.last_write_time(error);
    if (!error && entry.path().extension() == kSuffix) files.emplace_back(written, entry.path());
  }
  std::sort(files.rbegin(), files.rend());
  for (size_t i = kKept; i < files.size(); ++i) {
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(files[i].second));
    ATTNRL_RETURN_IF_ERROR(storage::RemoveTree(files[i].second + ".lock"));
  }
  return absl::OkStatus();
}

}  // namespace attnrl::learner
