// SPDX-License-Identifier: Apache-2.0
#include "common/text/utf8.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <cstddef>
#include <cstdint>

namespace attnrl::text {
namespace {

struct Part {
  size_t length;     // bytes of the character, or of the maximal ill-formed part
  bool well_formed;  // false: the part stands for one U+FFFD
};

bool Within(uint8_t byte, uint8_t low, uint8_t high) { return byte >= low && byte <= high; }

// Table 3-7 of the Unicode standard: how many bytes follow a lead byte, and the range of the first.
Part NextPart(std::string_view bytes, size_t at) {
  const auto lead = static_cast<uint8_t>(bytes[at]);
  if (lead < 0x80) return {1, true};
  size_t following = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  if (Within(lead, 0xC2, 0xDF)) {
    following = 1;
  } else if (Within(lead, 0xE0, 0xEF)) {
    following = 2;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (Within(lead, 0xF0, 0xF4)) {
    following = 3;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {1, false};
  }
  for (size_t i = 1; i <= following; ++i) {
    if (at + i >= bytes.size() || !Within(static_cast<uint8_t>(bytes[at + i]), low, high)) {
      return {i, false};
    }
    low = 0x80;
    high = 0xBF;
  }
  return {following + 1, true};
}

}  // namespace

std::string LossyUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const Part part = NextPart(bytes, at);
    if (part.well_formed) {
      out.append(bytes.substr(at, part.length));
    } else {
      out.append("\xEF\xBF\xBD");
    }
    at += part.length;
  }
  return out;
}

bool IsUtf8(std::string_view bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const Part part = NextPart(bytes, at);
    if (!part.well_formed) return false;
    at += part.length;
  }
  return true;
}

std::string ComposeNfc(std::string_view text) {
  std::string out;
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return std::string(text);  // ICU's NFC data is compiled in
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  nfc->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                     nullptr, error);
  return U_FAILURE(error) ? std::string(text) : out;
}

}  // namespace attnrl::text
