// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace attnrl::verifier {

// Bytes of the UTF-8 character that `text` begins with; 0 where none does, or text is empty.
size_t CharacterBytes(std::string_view text);

// The beginning of `text`, at most `limit` bytes, as UTF-8: what isn't becomes U+FFFD byte by byte,
// and no character is cut.
std::string ValidPrefix(std::string_view text, size_t limit);

}  // namespace attnrl::verifier
