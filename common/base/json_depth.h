// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace attnrl {

// How deep lists and objects of JSON from outside may nest; nothing that this project reads needs
// half of it.
inline constexpr size_t kMaxJsonDepth = 64;

// OK, or an InputError at `where` when `json` opens more than kMaxJsonDepth lists and objects
// inside each other. To be asked before a text from outside is parsed: nlohmann's values are
// printed and copied by recursion, so a deep one would end the process. Time linear in the text,
// whatever it is.
absl::Status CheckJsonDepth(std::string_view where, std::string_view json);

}  // namespace attnrl
