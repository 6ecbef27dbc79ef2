// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/tokens/utf8.h"

namespace attnrl::verifier {
namespace {

// The second byte after these leads has fewer values: no overlong forms, surrogates, or characters
// over U+10FFFF.
bool SecondByteFits(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xe0:
      return second >= 0xa0;
    case 0xed:
      return second < 0xa0;
    case 0xf0:
      return second >= 0x90;
    case 0xf4:
      return second < 0x90;
    default:
      return true;
  }
}

}  // namespace

size_t CharacterBytes(std::string_view text) {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (bytes > text.size()) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return SecondByteFits(lead, static_cast<unsigned char>(text[1])) ? bytes : 0;
}

std::string ValidPrefix(std::string_view text, size_t limit) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string valid;
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    const std::string_view next = bytes == 0 ? kReplacement : text.substr(0, bytes);
    if (valid.size() + next.size() > limit) break;
    valid += next;
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return valid;
}

}  // namespace attnrl::verifier
