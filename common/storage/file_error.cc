// SPDX-License-Identifier: Apache-2.0
#include "common/storage/file_error.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "common/storage/files.h"

namespace attnrl::storage {
namespace {

std::atomic<const ScopedFault::Fault*> current_fault = nullptr;

}  // namespace

absl::Status FileError(const std::string& path, std::string_view doing, int error) {
  const std::string message = path + ": " + std::string(doing) + " failed: " + std::strerror(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    default:
      return absl::InternalError(message);
  }
}

int InjectedFault(std::string_view operation, const std::string& path) {
  const ScopedFault::Fault* fault = current_fault.load();
  return fault == nullptr ? 0 : (*fault)(operation, path);
}

ScopedFault::ScopedFault(Fault fault) { current_fault = new Fault(std::move(fault)); }
ScopedFault::~ScopedFault() { delete current_fault.exchange(nullptr); }

absl::Status SyncDescriptor(int descriptor, const std::string& path) {
  if (const int fault = InjectedFault("sync", path); fault != 0) {
    return FileError(path, "syncing", fault);
  }
  return ::fsync(descriptor) == 0 ? absl::OkStatus() : FileError(path, "syncing", errno);
}

}  // namespace attnrl::storage
