// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/file_error.h"
#include "common/storage/files.h"

namespace attnrl::storage {
namespace {

// The holder writes its id into the file, for the message of the second comer.
std::string Holder(int descriptor) {
  char digits[16] = {};
  const ssize_t count = ::pread(descriptor, digits, sizeof(digits) - 1, 0);
  if (count <= 0) return "another process";
  return absl::StrCat("process ", std::string(digits, static_cast<size_t>(count)));
}

// Whether `path` still names the open file: a holder may have removed what it held.
bool Names(const std::string& path, int descriptor) {
  struct stat named {};
  struct stat held {};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(descriptor, &held) == 0 &&
         named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Acquire(const std::string& directory) {
  return AcquireFile(directory + "/.lock", directory);
}

absl::StatusOr<FileLock> FileLock::Lock(const std::string& path, const std::string& holds,
                                        int operation) {
  FileLock lock(-1);
  do {
    lock = FileLock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (lock.descriptor_ < 0) return FileError(path, "opening the lock", errno);
    if (::flock(lock.descriptor_, operation | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return FileError(path, "locking", errno);
      return InputError(holds, absl::StrCat("in use by ", Holder(lock.descriptor_)),
                        "one process at a time");
    }
  } while (!Names(path, lock.descriptor_));
  return lock;
}

absl::StatusOr<FileLock> FileLock::Share(const std::string& path, const std::string& holds) {
  return Lock(path, holds, LOCK_SH);
}

absl::StatusOr<FileLock> FileLock::AcquireFile(const std::string& path, const std::string& holds) {
  ATTNRL_ASSIGN_OR_RETURN(FileLock lock, Lock(path, holds, LOCK_EX));
  const std::string id = absl::StrCat(::getpid());
  // Only for the message above: a lock on a full disk still holds.
  if (::ftruncate(lock.descriptor_, 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(lock.descriptor_, id.data(), id.size(), 0);
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace attnrl::storage
