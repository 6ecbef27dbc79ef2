// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace attnrl::text {

// Canonical composition. `text` must be UTF-8. Returns the input where it is normalised already.
std::string ComposeNfc(std::string_view text);

}  // namespace attnrl::text
