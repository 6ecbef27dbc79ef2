// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace attnrl::text {

// The bytes as UTF-8; every maximal ill-formed part becomes one U+FFFD (Unicode 3.9, "substitution
// of maximal subparts"; what Rust's from_utf8_lossy and Python's errors="replace" do).
std::string LossyUtf8(std::string_view bytes);

bool IsUtf8(std::string_view bytes);

// Canonical composition. `text` must be UTF-8. Returns the input where it is normalised already.
std::string ComposeNfc(std::string_view text);

}  // namespace attnrl::text
