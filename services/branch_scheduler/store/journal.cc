// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/file_error.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/store/run_files.h"

namespace attnrl::scheduler {
namespace {

// How far a file is read beyond what the store has for it.
constexpr size_t kLookAhead = size_t{1} << 20;

// Fills `bytes` from the file; they are there.
absl::Status ReadAt(int fd, const std::string& path, int64_t from, std::string* bytes) {
  for (size_t done = 0; done < bytes->size();) {
    const ssize_t count =
        ::pread(fd, bytes->data() + done, bytes->size() - done, from + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return storage::FileError(path, "reading", count < 0 ? errno : EIO);
    done += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

// Bytes of the file up to the end of its last whole line.
int64_t WholeLines(int fd, int64_t size) {
  char chunk[4096];
  while (size > 0) {
    const int64_t from = std::max<int64_t>(0, size - static_cast<int64_t>(sizeof(chunk)));
    const ssize_t count = ::pread(fd, chunk, static_cast<size_t>(size - from), from);
    for (ssize_t i = count; i > 0; --i) {
      if (chunk[i - 1] == '\n') return from + i;
    }
    size = from;
  }
  return 0;
}

}  // namespace

Journal::~Journal() {
  for (auto& [name, file] : files_) ::close(file.fd);
}

std::string Journal::PathOf(const std::string& name) const {
  return absl::StrCat(folder_, "/", name);
}

absl::Status Journal::Compare(const std::string& name, int fd, int64_t* bytes,
                              std::string* foreign) const {
  ATTNRL_ASSIGN_OR_RETURN(const int64_t settled, store_->SettledBytes(name));
  struct stat info {};
  if (::fstat(fd, &info) != 0) return storage::FileError(PathOf(name), "reading its size", errno);
  *bytes = info.st_size < settled ? WholeLines(fd, info.st_size) : settled;
  // Beyond the settled bytes are the lines that the store still has, whole or torn. Of a file that
  // goes on much longer the beginning is enough to tell.
  std::string own;
  if (info.st_size >= settled) {
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<Store::JournalRow> rows, store_->LinesAfter(name, 0));
    for (const Store::JournalRow& row : rows) absl::StrAppend(&own, row.line, "\n");
  }
  const auto wanted =
      std::min<size_t>(static_cast<size_t>(info.st_size - *bytes), own.size() + kLookAhead);
  std::string tail(wanted, '\0');
  ATTNRL_RETURN_IF_ERROR(ReadAt(fd, PathOf(name), *bytes, &tail));
  if (!own.starts_with(tail)) *foreign = std::move(tail);
  // A line of the store's own is not foreign because of what follows it.
  if (foreign->starts_with(own)) foreign->erase(0, own.size());
  return absl::OkStatus();
}

absl::Status Journal::Check(const std::string& name) const {
  const std::string path = PathOf(name);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? absl::OkStatus() : storage::FileError(path, "opening", errno);
  int64_t bytes = 0;
  std::string foreign;
  const absl::Status status = Compare(name, fd, &bytes, &foreign);
  ::close(fd);
  ATTNRL_RETURN_IF_ERROR(status);
  // What a loss of power leaves of bytes that were not synced is no line.
  for (size_t begin = 0, end; (end = foreign.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    const std::string_view line = std::string_view(foreign).substr(begin, end - begin);
    if (!line.starts_with('{') || !line.ends_with('}')) continue;
    return InputError(path,
                      absl::StrCat("holds lines that the database doesn't know, the first from '",
                                   OneLine(line, 40), "' on"),
                      kPutBack);
  }
  return absl::OkStatus();
}

absl::Status Journal::MoveAside(const std::string& name, const std::string& bytes) const {
  const std::string path = PathOf(name) + ".aside";
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return storage::FileError(path, "opening", errno);
  absl::Status status = storage::WriteAll(fd, path, bytes);
  if (status.ok() && ::fsync(fd) != 0) status = storage::FileError(path, "syncing", errno);
  ::close(fd);
  return status;
}

absl::Status Journal::Reconcile(const std::string& name, std::string* warning) {
  ATTNRL_RETURN_IF_ERROR(Check(name));
  const std::string path = PathOf(name);
  File file;
  file.fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (file.fd < 0) return storage::FileError(path, "opening", errno);
  File& kept = files_[name] = file;
  std::string foreign;
  ATTNRL_RETURN_IF_ERROR(Compare(name, kept.fd, &kept.bytes, &foreign));
  ATTNRL_ASSIGN_OR_RETURN(const int64_t settled, store_->SettledBytes(name));
  if (kept.bytes < settled) {
    *warning = absl::StrCat(path, " has ", static_cast<size_t>(kept.bytes) + foreign.size(),
                            " bytes where ", settled,
                            " were written: something else cut it; what is missing stays missing");
  }
  if (!foreign.empty()) ATTNRL_RETURN_IF_ERROR(MoveAside(name, foreign));
  if (::ftruncate(kept.fd, kept.bytes) != 0) return storage::FileError(path, "cutting", errno);
  if (::lseek(kept.fd, kept.bytes, SEEK_SET) < 0) return storage::FileError(path, "seeking", errno);
  return FlushFile(name, kept);
}

absl::Status Journal::FlushFile(const std::string& name, File& file) {
  ATTNRL_ASSIGN_OR_RETURN(std::vector<Store::JournalRow> rows,
                          store_->LinesAfter(name, file.last_id));
  if (rows.empty()) return absl::OkStatus();
  std::string bytes;
  for (const Store::JournalRow& row : rows) absl::StrAppend(&bytes, row.line, "\n");
  ATTNRL_RETURN_IF_ERROR(storage::WriteAll(file.fd, absl::StrCat(folder_, "/", name), bytes));
  file.bytes += static_cast<int64_t>(bytes.size());
  file.last_id = rows.back().id;
  return absl::OkStatus();
}

absl::Status Journal::Flush() {
  for (auto& [name, file] : files_) ATTNRL_RETURN_IF_ERROR(FlushFile(name, file));
  return absl::OkStatus();
}

absl::Status Journal::Settle() {
  for (auto& [name, file] : files_) {
    if (::fdatasync(file.fd) != 0)
      return storage::FileError(absl::StrCat(folder_, "/", name), "syncing", errno);
  }
  ATTNRL_RETURN_IF_ERROR(store_->Begin());
  for (auto& [name, file] : files_) {
    absl::Status status = store_->Settle(name, file.last_id, file.bytes);
    if (!status.ok()) {
      store_->Rollback();
      return status;
    }
  }
  return store_->Commit();
}

}  // namespace attnrl::scheduler
