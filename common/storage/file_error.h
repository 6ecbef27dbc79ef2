// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace attnrl::storage {

// The status for errno `error` of `doing` ("writing") at `path`, by the codes of files.h.
absl::Status FileError(const std::string& path, std::string_view doing, int error);

// The errno that a test wants this operation to fail with (ScopedFault), 0 for none.
int InjectedFault(std::string_view operation, const std::string& path);

// fsync. Never tried again: after a failed one the kernel may have dropped the pages.
absl::Status SyncDescriptor(int descriptor, const std::string& path);

// What the names of files begin with until they are whole.
inline constexpr char kUnfinished[] = ".unfinished-";

}  // namespace attnrl::storage
