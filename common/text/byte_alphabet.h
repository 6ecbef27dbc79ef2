// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace attnrl::text {

// GPT-2's byte-level alphabet: files of byte-level BPE write each byte as one printable character
// (printable Latin-1 stands for itself, the other 68 bytes are U+0100 onwards in order; a space is
// U+0120). The only place that knows it.

// The character that stands for `byte`, as UTF-8.
std::string ByteCharacter(uint8_t byte);

// The bytes that a token's text in the file stands for; nullopt when it holds a character outside
// the alphabet (then the text stands for itself).
std::optional<std::string> AlphabetBytes(std::string_view token);

}  // namespace attnrl::text
