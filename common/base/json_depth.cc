// SPDX-License-Identifier: Apache-2.0
#include "common/base/json_depth.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl {

absl::Status CheckJsonDepth(std::string_view where, std::string_view json) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') quoted = !quoted;
    if (quoted) {
      if (c == '\\') ++i;  // whatever it escapes, a quote above all
      continue;
    }
    if ((c == '[' || c == '{') && ++depth > kMaxJsonDepth) {
      return InputError(
          where, "nests too deeply",
          absl::StrCat("at most ", kMaxJsonDepth, " nested lists and objects are allowed"));
    }
    if ((c == ']' || c == '}') && depth > 0) --depth;
  }
  return absl::OkStatus();
}

}  // namespace attnrl
