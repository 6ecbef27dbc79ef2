// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/safetensors_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/lfs_pointer.h"
#include "common/base/status.h"
#include "common/storage/file_error.h"

namespace attnrl::model {
namespace {
// Enough to tell a Git LFS pointer.
constexpr uint64_t kPointerBytes = 64;
}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return storage::FileError(path, "opening", errno);
  SafetensorsFile file(path, descriptor);
  ATTNRL_RETURN_IF_ERROR(file.ReadHeader());
  return file;
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      data_begin_(other.data_begin_),
      tensors_(std::move(other.tensors_)) {}

SafetensorsFile::~SafetensorsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::Status SafetensorsFile::ReadHeader() {
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0) {
    return storage::FileError(path_, "reading its size", errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::InternalError(absl::StrCat(path_, ": is not a regular file"));
  }
  const auto file_bytes = static_cast<uint64_t>(status.st_size);
  std::string beginning(std::min<uint64_t>(file_bytes, kPointerBytes), '\0');
  ATTNRL_RETURN_IF_ERROR(ReadBytes(0, beginning.data(), beginning.size()));
  ATTNRL_RETURN_IF_ERROR(RefuseLfsPointer(path_, beginning));
  std::array<unsigned char, kHeaderLengthBytes> field = {};
  if (file_bytes >= field.size()) ATTNRL_RETURN_IF_ERROR(ReadBytes(0, field.data(), field.size()));
  uint64_t header_bytes = 0;  // little-endian in the file
  for (size_t i = field.size(); i-- > 0;) header_bytes = header_bytes << 8 | field[i];
  ATTNRL_RETURN_IF_ERROR(CheckHeaderLength(path_, header_bytes, file_bytes));

  std::string header(header_bytes, '\0');
  ATTNRL_RETURN_IF_ERROR(ReadBytes(kHeaderLengthBytes, header.data(), header.size()));
  data_begin_ = kHeaderLengthBytes + header_bytes;
  ATTNRL_ASSIGN_OR_RETURN(tensors_,
                          ParseSafetensorsHeader(path_, header, file_bytes - data_begin_));
  return absl::OkStatus();
}

absl::Status SafetensorsFile::ReadInto(const TensorInfo& info, void* target) const {
  return ReadBytes(data_begin_ + info.begin, target, info.bytes());
}

absl::Status SafetensorsFile::ReadBytes(uint64_t offset, void* target, uint64_t bytes) const {
  auto* next = static_cast<char*>(target);
  while (bytes > 0) {
    const ssize_t got = ::pread(descriptor_, next, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return storage::FileError(path_, "reading", errno);
    if (got == 0) {
      return InputError(path_, "shrank while it was being read",
                        "an intact safetensors file is needed");
    }
    next += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace attnrl::model
