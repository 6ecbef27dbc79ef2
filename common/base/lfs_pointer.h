// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "common/base/status.h"

namespace attnrl {

// What Git leaves in place of a large file that was not downloaded: three short lines of text.
inline bool IsLfsPointer(std::string_view beginning) {
  return beginning.starts_with("version https://git-lfs.github.com/spec/");
}

// InputError for a file that `beginning` shows to be one: the most common damaged download.
inline absl::Status RefuseLfsPointer(std::string_view path, std::string_view beginning) {
  if (!IsLfsPointer(beginning)) return absl::OkStatus();
  return InputError(path, "is a Git LFS pointer, not the file itself",
                    "`git lfs pull` in its folder fetches the file");
}

}  // namespace attnrl
