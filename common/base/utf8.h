// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace attnrl {

// What a text begins with.
struct Utf8Part {
  size_t length;     // bytes of the character, or of the maximal ill-formed part
  bool well_formed;  // false: the part stands for one U+FFFD
};
// `bytes` is not empty.
Utf8Part NextUtf8Part(std::string_view bytes);

// The bytes as UTF-8; every maximal ill-formed part becomes one U+FFFD (Unicode 3.9, "substitution
// of maximal subparts"; what Rust's from_utf8_lossy and Python's errors="replace" do).
std::string LossyUtf8(std::string_view bytes);

bool IsUtf8(std::string_view bytes);

}  // namespace attnrl
