// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/markup.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attnrl::tools {
namespace {

// The bidirectional controls U+200E, U+200F, U+202A to U+202E and U+2066 to U+2069, three bytes
// each; 0 where no such character begins here.
uint32_t DirectionControl(std::string_view text) {
  if (text.size() < 3 || text[0] != '\xe2') return 0;
  const auto second = static_cast<uint8_t>(text[1]);
  const auto third = static_cast<uint8_t>(text[2]);
  const uint32_t code = 0x2000U + ((second & 0x3fU) << 6U) + (third & 0x3fU);
  const bool turns = code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
                     (code >= 0x2066 && code <= 0x2069);
  return turns ? code : 0;
}

// The picture of a control character: U+2400 + its code, and U+2421 for DEL.
std::string Picture(char control) {
  const int picture = control == 0x7f ? 0x21 : control;
  return {'\xe2', '\x90', static_cast<char>(0x80 + picture)};
}

}  // namespace

std::string Escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if ((static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
      out += Picture(c);
    } else if (const uint32_t code = DirectionControl(text.substr(i)); code != 0) {
      absl::StrAppend(&out, absl::StrFormat("[U+%04X]", code));
      i += 2;
    } else {
      out += c;
    }
  }
  return out;
}

std::string Count(int64_t number) {
  std::string digits = absl::StrCat(number);
  const size_t first = number < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string Counted(int64_t number, std::string_view one, std::string_view many) {
  return absl::StrCat(Count(number), " ", std::string(number == 1 ? one : many));
}

std::string Signed(double value) {
  if (value == 0) return "0";
  const double size = std::abs(value);
  const std::string digits =
      size >= 0.005 ? absl::StrFormat("%.2f", size) : absl::StrFormat("%.1g", size);
  return absl::StrCat(value < 0 ? "\u2212" : "+", digits);
}

std::string Short(double value) {
  const std::string digits = absl::StrFormat("%.3g", std::abs(value));
  return absl::StrCat(value < 0 ? "\u2212" : "", digits);
}

std::string Percent(double share) {
  return absl::StrCat(absl::StrFormat("%.4g", 100 * std::clamp(share, 0.0, 1.0)), "%");
}

double Shade(double score, double largest) {
  return largest > 0 ? std::sqrt(std::clamp(score / largest, 0.0, 1.0)) : 0;
}

std::string AdvantageAttributes(std::string_view classes, double advantage, double largest,
                                std::string_view style) {
  return absl::StrCat("class=\"", std::string(classes), advantage < 0 ? " neg" : " pos",
                      "\" style=\"--m:", Percent(Shade(std::abs(advantage), largest)), ";",
                      std::string(style), "\"");
}

}  // namespace attnrl::tools
