// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::text::jinja {

enum class TokenKind : uint8_t {
  kText,        // between the tags, as it is written out
  kOpenOutput,  // {{
  kCloseOutput,
  kOpenBlock,  // {%
  kCloseBlock,
  kName,
  kString,  // without quotes and escapes
  kInteger,
  kSymbol,  // an operator or a bracket
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int64_t line = 1;  // from 1
};

// Cuts a template into tokens, the last of which is kEnd. White space around tags is handled as
// transformers has Jinja do it: "-" takes all of it away; without a sign, a block or a comment also
// takes the blanks before it on its line and one newline after it, and "+" keeps these. One newline
// at the template's end is dropped. InputError at `where`:line for what is no token.
absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source, const std::string& where);

}  // namespace attnrl::text::jinja
