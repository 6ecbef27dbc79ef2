// SPDX-License-Identifier: Apache-2.0
#include "common/storage/file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/file_error.h"
#include "common/storage/files.h"

namespace attnrl::storage {
namespace {

// Names differ between processes and threads, so two writers never share an unfinished file.
std::string UnfinishedName(const std::string& path) {
  static std::atomic<uint64_t> counter = 0;
  const std::filesystem::path place(path);
  const std::string parent = place.parent_path().string();
  return absl::StrCat(parent.empty() ? "." : parent, "/", kUnfinished, ::getpid(), "-", counter++,
                      "-", place.filename().string());
}

}  // namespace

absl::StatusOr<FileWriter> FileWriter::Create(const std::string& path) {
  const std::string unfinished = UnfinishedName(path);
  if (const int fault = InjectedFault("open", unfinished); fault != 0) {
    return Annotate(FileError(unfinished, "creating", fault), absl::StrCat("writing ", path));
  }
  const int descriptor = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return Annotate(FileError(unfinished, "creating", errno), absl::StrCat("writing ", path));
  }
  return FileWriter(path, unfinished, descriptor);
}

FileWriter::FileWriter(std::string path, std::string unfinished, int descriptor)
    : path_(std::move(path)), unfinished_(std::move(unfinished)), descriptor_(descriptor) {}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : path_(std::move(other.path_)),
      unfinished_(std::exchange(other.unfinished_, "")),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!unfinished_.empty()) ::unlink(unfinished_.c_str());
}

absl::Status FileWriter::Append(std::string_view bytes) {
  return Annotate(WriteAll(descriptor_, unfinished_, bytes), absl::StrCat("writing ", path_));
}

absl::Status FileWriter::Finish() {
  absl::Status status = SyncDescriptor(descriptor_, unfinished_);
  // The close's own error counts: a network file system reports lost bytes here.
  if (::close(std::exchange(descriptor_, -1)) != 0 && status.ok()) {
    status = FileError(unfinished_, "closing", errno);
  }
  if (status.ok()) status = RenameDurably(unfinished_, path_);
  if (status.ok()) unfinished_.clear();
  return Annotate(status, absl::StrCat("writing ", path_));
}

absl::Status LinkOrCopy(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) {
    const std::string parent = std::filesystem::path(to).parent_path().string();
    const int directory = ::open(parent.c_str(), O_RDONLY | O_CLOEXEC);
    if (directory < 0) return FileError(parent, "opening", errno);
    const absl::Status synced = SyncDescriptor(directory, parent);
    ::close(directory);
    return synced;
  }
  if (errno == ENOENT || errno == EEXIST) return FileError(to, "linking", errno);
  ATTNRL_ASSIGN_OR_RETURN(FileWriter copy, FileWriter::Create(to));
  absl::Status written;
  ATTNRL_RETURN_IF_ERROR(ReadPieces(from, [&](std::string_view piece) {
    if (written.ok()) written = copy.Append(piece);
  }));
  ATTNRL_RETURN_IF_ERROR(written);
  return copy.Finish();
}

}  // namespace attnrl::storage
