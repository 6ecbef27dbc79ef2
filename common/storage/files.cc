// SPDX-License-Identifier: Apache-2.0
#include "common/storage/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::storage {
namespace {

namespace fs = std::filesystem;

// Closes on every way out.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  // Unlike the destructor reports the error: a full disk may show only here.
  int Close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd);
  }

 private:
  int fd_;
};

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("cannot be written", path);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

std::string Parent(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// A name that no other thread or process writes at the same time.
std::string Unfinished(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat(path, ".unfinished-", ::getpid(), "-", counter.fetch_add(1));
}

absl::Status WriteAndSync(const std::string& path, int flags, std::string_view bytes) {
  Descriptor file(::open(path.c_str(), flags | O_WRONLY | O_CLOEXEC, 0644));
  if (file.get() < 0) return ErrnoStatus("cannot be opened for writing", path);
  ATTNRL_RETURN_IF_ERROR(WriteAll(file.get(), bytes, path));
  if (::fsync(file.get()) != 0) return ErrnoStatus("cannot be synced", path);
  if (file.Close() != 0) return ErrnoStatus("cannot be closed", path);
  return absl::OkStatus();
}

absl::Status FromErrorCode(const std::error_code& error, std::string_view action,
                           const std::string& path) {
  errno = error.value();
  return ErrnoStatus(action, path);
}

}  // namespace

absl::Status ErrnoStatus(std::string_view action, const std::string& path) {
  const int error = errno;
  const std::string message =
      absl::StrCat(path, ": ", std::string(action), ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  return absl::InternalError(message);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return ErrnoStatus("cannot be opened", path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return ErrnoStatus("cannot be read", path);
  if (S_ISDIR(info.st_mode)) return absl::NotFoundError(path + ": is a folder, not a file");
  std::string out;
  out.resize(static_cast<size_t>(info.st_size));
  size_t filled = 0;
  while (true) {
    if (filled == out.size()) out.resize(out.size() + 65536);  // pipes and growing files
    const ssize_t count = ::read(file.get(), out.data() + filled, out.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus("cannot be read", path);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  out.resize(filled);
  return out;
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  const std::string unfinished = Unfinished(path);
  absl::Status status = WriteAndSync(unfinished, O_CREAT | O_TRUNC, bytes);
  if (status.ok()) status = RenameDurably(unfinished, path);
  if (!status.ok()) ::unlink(unfinished.c_str());
  return status;
}

absl::Status AppendToFile(const std::string& path, std::string_view bytes) {
  return WriteAndSync(path, O_CREAT | O_APPEND, bytes);
}

absl::Status EnsureDirectory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return FromErrorCode(error, "cannot be made", path);
  return absl::OkStatus();
}

absl::Status Sync(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return ErrnoStatus("cannot be opened", path);
  if (::fsync(file.get()) != 0) return ErrnoStatus("cannot be synced", path);
  return absl::OkStatus();
}

absl::Status RenameDurably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus("cannot be renamed", from);
  return Sync(Parent(to));
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return FromErrorCode(error, "cannot be removed", path);
  return absl::OkStatus();
}

absl::Status CopyFile(const std::string& from, const std::string& to) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(from));
  return WriteFileAtomically(to, bytes);
}

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::Acquire(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus("cannot be opened", path);
  std::unique_ptr<FileLock> lock(new FileLock(fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t length = ::pread(fd, holder, sizeof(holder) - 1, 0);
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is in use by ", length > 0 ? "process " : "another process", holder));
  }
  const std::string pid = absl::StrCat(::getpid());
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    return ErrnoStatus("cannot be written", path);
  }
  return lock;
}

FileLock::~FileLock() { ::close(descriptor_); }

}  // namespace attnrl::storage
