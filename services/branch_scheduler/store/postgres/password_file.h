// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace attnrl::scheduler::postgres {

// The file of passwords that PGPASSFILE names, as libpq takes it. libpq ignores one that a group
// may read, and a mounted Secret of Kubernetes is one that only a group may read; so it gets a copy
// in this process's memory. Movable.
class PasswordFile {
 public:
  // Without PGPASSFILE an empty one. InputError where the file can't be read, or by everybody.
  static absl::StatusOr<PasswordFile> Copy();
  PasswordFile(PasswordFile&& other) noexcept;
  PasswordFile& operator=(PasswordFile&&) = delete;
  ~PasswordFile();

  // Empty: libpq looks where it does by itself.
  const std::string& path() const { return path_; }

 private:
  PasswordFile() = default;

  int descriptor_ = -1;
  std::string path_;
};

}  // namespace attnrl::scheduler::postgres
