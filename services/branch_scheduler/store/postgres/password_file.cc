// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/postgres/password_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/files.h"

namespace attnrl::scheduler::postgres {

absl::StatusOr<PasswordFile> PasswordFile::Copy() {
  const char* named = std::getenv("PGPASSFILE");
  PasswordFile copy;
  if (named == nullptr || *named == '\0') return copy;
  struct stat info {};
  if (::stat(named, &info) != 0) {
    return InputError("PGPASSFILE", absl::StrCat(named, ": ", std::strerror(errno)),
                      "a file that this process may read");
  }
  if ((info.st_mode & S_IRWXO) != 0) {
    return InputError("PGPASSFILE", absl::StrCat(named, " is open to everybody"),
                      "mode 0600, or 0440 where a group owns it");
  }
  ATTNRL_ASSIGN_OR_RETURN(const std::string bytes, storage::ReadFile(named));
  copy.descriptor_ = ::memfd_create("passwords", MFD_CLOEXEC);
  if (copy.descriptor_ < 0 || ::fchmod(copy.descriptor_, S_IRUSR | S_IWUSR) != 0) {
    return absl::InternalError(absl::StrCat("a file in memory: ", std::strerror(errno)));
  }
  copy.path_ = absl::StrCat("/proc/self/fd/", copy.descriptor_);
  ATTNRL_RETURN_IF_ERROR(storage::WriteAll(copy.descriptor_, copy.path_, bytes));
  return copy;
}

PasswordFile::PasswordFile(PasswordFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

PasswordFile::~PasswordFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace attnrl::scheduler::postgres
