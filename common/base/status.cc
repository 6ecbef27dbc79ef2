// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

#include <string>

#include "absl/strings/str_format.h"
#include "common/base/utf8.h"

namespace attnrl {
namespace {

// Appends the first character of `text`, escaped where it could be a command for a terminal or is
// not UTF-8: messages of the wire hold nothing else. Returns how many bytes of `text` that was.
size_t AppendEscaped(std::string_view text, std::string* out) {
  const Utf8Part part = NextUtf8Part(text);
  const auto byte = static_cast<unsigned char>(text[0]);
  const auto last = static_cast<unsigned char>(text[part.length - 1]);
  if (!part.well_formed || byte < 0x20 || byte == 0x7f) {
    *out += absl::StrFormat("\\x%02x", byte);
    return 1;
  }
  if (part.length == 2 && byte == 0xC2 && last < 0xA0) {  // U+0080 to U+009F
    *out += absl::StrFormat("\\u%04x", last);
  } else {
    *out += text.substr(0, part.length);
  }
  return part.length;
}

}  // namespace

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
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\n' || text[i] == '\t') {
      out += text[i++];
    } else {
      i += AppendEscaped(text.substr(i), &out);
    }
  }
  return out;
}

std::string OneLine(std::string_view text, size_t limit) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (out.size() >= limit) {
      out += "...";
      break;
    }
    if (text[i] == '\n') {
      out += "\\n";
      ++i;
    } else {
      i += AppendEscaped(text.substr(i), &out);
    }
  }
  return out;
}

}  // namespace attnrl
