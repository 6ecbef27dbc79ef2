// SPDX-License-Identifier: Apache-2.0
#include "common/storage/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/file_error.h"
#include "common/storage/file_writer.h"

namespace attnrl::storage {
namespace fs = std::filesystem;
namespace {

constexpr size_t kPiece = size_t{1} << 20;  // bytes of ReadPieces

// A descriptor that is closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }
  // The close's own error counts: a network file system reports lost bytes here.
  int Close() { return ::close(std::exchange(descriptor_, -1)); }

 private:
  int descriptor_;
};

std::string Parent(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

absl::Status SyncPath(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return FileError(path, "opening", errno);
  return SyncDescriptor(file.get(), path);
}

}  // namespace

absl::Status WriteAll(int descriptor, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    if (const int fault = InjectedFault("write", path); fault != 0) {
      return FileError(path, "writing", fault);
    }
    // Linux writes at most 2 GiB a call.
    const ssize_t count =
        ::write(descriptor, bytes.data(), std::min(bytes.size(), size_t{1} << 30));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(path, "writing", errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status ReadPieces(const std::string& path,
                        const std::function<void(std::string_view)>& take) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return FileError(path, "opening", errno);
  std::vector<char> piece(kPiece);
  while (true) {
    const ssize_t count = ::read(file.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(path, "reading", errno);
    if (count == 0) return absl::OkStatus();
    take({piece.data(), static_cast<size_t>(count)});
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return FileError(path, "opening", errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return FileError(path, "reading its size", errno);
  if (S_ISDIR(info.st_mode)) return FileError(path, "reading", EISDIR);
  std::string bytes(static_cast<size_t>(std::max<off_t>(info.st_size, 0)), '\0');
  size_t filled = 0;
  while (true) {
    // Files of /proc and pipes have no size: read until the end, whatever the size was.
    if (filled == bytes.size()) bytes.resize(bytes.size() + 4096);
    const ssize_t count = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(path, "reading", errno);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

std::optional<int> NamedDescriptor(const std::string& path) {
  const std::string own = absl::StrCat("/proc/", ::getpid(), "/fd");
  fs::path at = path;
  std::error_code error;
  for (int links = 0; links < 16; ++links) {
    const fs::path folder = fs::canonical(Parent(at.string()), error);
    if (error) return std::nullopt;
    int number = 0;
    if (folder == own && absl::SimpleAtoi(at.filename().string(), &number)) return number;
    const fs::path next = fs::read_symlink(folder / at.filename(), error);
    if (error) return std::nullopt;
    at = folder / next;
  }
  return std::nullopt;
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  if (const auto descriptor = NamedDescriptor(path)) {
    if (*descriptor == STDOUT_FILENO) std::cout.flush();  // what was printed before comes first
    return WriteAll(*descriptor, path, bytes);
  }
  std::error_code none;
  const fs::file_type kind = fs::status(path, none).type();
  if (kind != fs::file_type::not_found && kind != fs::file_type::regular &&
      kind != fs::file_type::directory && kind != fs::file_type::none) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.open()) return FileError(path, "opening", errno);
    return WriteAll(file.get(), path, bytes);
  }
  const bool link = fs::is_symlink(path, none) && kind == fs::file_type::regular;
  const std::string place = link ? fs::canonical(path, none).string() : path;
  ATTNRL_ASSIGN_OR_RETURN(FileWriter writer, FileWriter::Create(place));
  ATTNRL_RETURN_IF_ERROR(writer.Append(bytes));
  return writer.Finish();
}

absl::Status EnsureDirectory(const std::string& path) {
  std::vector<std::string> missing;
  std::string at = fs::path(path).lexically_normal().string();
  while (at.size() > 1 && at.back() == '/') at.pop_back();
  struct stat info {};
  while (::stat(at.c_str(), &info) != 0) {
    if (errno != ENOENT) return FileError(at, "looking for the directory", errno);
    missing.push_back(at);
    at = Parent(at);
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(at, ": is not a directory"));
  }
  std::reverse(missing.begin(), missing.end());  // parents first
  for (const std::string& directory : missing) {
    const int fault = InjectedFault("mkdir", directory);
    if (fault != 0) return FileError(directory, "creating the directory", fault);
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
      return FileError(directory, "creating the directory", errno);
    }
    ATTNRL_RETURN_IF_ERROR(SyncPath(Parent(directory)));
  }
  return absl::OkStatus();
}

absl::Status RenameDurably(const std::string& from, const std::string& to) {
  if (const int fault = InjectedFault("rename", to); fault != 0) {
    return FileError(to, "renaming", fault);
  }
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return FileError(to, absl::StrCat("renaming ", from, " to it"), errno);
  }
  return SyncPath(Parent(to));
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? FileError(path, "removing", error.value()) : absl::OkStatus();
}

absl::Status RemoveUnfinished(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    if (absl::StartsWith(at->path().filename().string(), kUnfinished)) {
      names.push_back(at->path().string());
    }
  }
  if (error) return FileError(directory, "listing", error.value());
  for (const std::string& name : names) ATTNRL_RETURN_IF_ERROR(RemoveTree(name));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> FreeBytes(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return FileError(path, "asking for free space", errno);
  return static_cast<int64_t>(info.f_bavail * info.f_frsize);
}

}  // namespace attnrl::storage
