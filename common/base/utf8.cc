// SPDX-License-Identifier: Apache-2.0
#include "common/base/utf8.h"

#include <cstdint>

namespace attnrl {
namespace {

bool Within(uint8_t byte, uint8_t low, uint8_t high) { return byte >= low && byte <= high; }

}  // namespace

// Table 3-7 of the Unicode standard: how many bytes follow a lead byte, and the range of the first.
Utf8Part NextUtf8Part(std::string_view bytes) {
  const auto lead = static_cast<uint8_t>(bytes[0]);
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
    if (i >= bytes.size() || !Within(static_cast<uint8_t>(bytes[i]), low, high)) {
      return {i, false};
    }
    low = 0x80;
    high = 0xBF;
  }
  return {following + 1, true};
}

std::string LossyUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Part part = NextUtf8Part(bytes.substr(at));
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
    const Utf8Part part = NextUtf8Part(bytes.substr(at));
    if (!part.well_formed) return false;
    at += part.length;
  }
  return true;
}

}  // namespace attnrl
