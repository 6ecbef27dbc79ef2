// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

#include <string>

#include "absl/strings/str_format.h"

namespace attnrl {

absl::Status InputError(std::string_view where, std::string_view what, std::string_view allowed) {
  std::string message(where);
  message.append(": ").append(what).append("; ").append(allowed);
  return absl::InvalidArgumentError(message);
}

bool IsInputError(const absl::Status& status) { return absl::IsInvalidArgument(status); }

absl::Status Annotate(const absl::Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  std::string message(prefix);
  message.append(": ").append(std::string(status.message()));
  absl::Status out(status.code(), message);
  status.ForEachPayload(
      [&out](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {
      out += absl::StrFormat("\\u%04x", next);
      ++i;
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      out += absl::StrFormat("\\x%02x", byte);
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string OneLine(std::string_view text, size_t limit) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= limit) {
      out += "...";
      break;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += absl::StrFormat("\\x%02x", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace attnrl
