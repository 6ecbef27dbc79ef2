// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/file_error.h"
#include "common/storage/files.h"

namespace attnrl::scheduler {
namespace {

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

absl::Status Journal::Reconcile(const std::string& name, std::string* warning) {
  const std::string path = absl::StrCat(folder_, "/", name);
  File file;
  ATTNRL_ASSIGN_OR_RETURN(file.bytes, store_->SettledBytes(name));
  file.fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (file.fd < 0) return storage::FileError(path, "opening", errno);
  File& kept = files_[name] = file;
  struct stat info {};
  if (::fstat(kept.fd, &info) != 0) return storage::FileError(path, "reading its size", errno);
  if (info.st_size < kept.bytes) {
    *warning = absl::StrCat(path, " has ", info.st_size, " bytes where ", kept.bytes,
                            " were written: something else cut it; what is missing stays missing");
    kept.bytes = WholeLines(kept.fd, info.st_size);
  }
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
