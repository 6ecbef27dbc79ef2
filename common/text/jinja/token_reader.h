// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/text/jinja/lexer.h"

namespace attnrl::text::jinja {

// Where the parsers are in the tokens. The last token is kEnd and is never passed.
class TokenReader {
 public:
  TokenReader(std::vector<Token> tokens, std::string where)
      : tokens_(std::move(tokens)), where_(std::move(where)) {}

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[at_ + ahead < tokens_.size() ? at_ + ahead : tokens_.size() - 1];
  }
  Token Next() {
    Token token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool SeesName(std::string_view name) const {
    return Peek().kind == TokenKind::kName && Peek().text == name;
  }
  bool SeesSymbol(std::string_view symbol) const {
    return Peek().kind == TokenKind::kSymbol && Peek().text == symbol;
  }
  bool SkipName(std::string_view name) { return SeesName(name) && (Next(), true); }
  bool SkipSymbol(std::string_view symbol) { return SeesSymbol(symbol) && (Next(), true); }

  // InputErrors at the line of the token that is next.
  absl::Status ExpectSymbol(std::string_view symbol) {
    if (SkipSymbol(symbol)) return absl::OkStatus();
    return Unexpected(absl::StrCat("\"", std::string(symbol), "\""));
  }
  absl::Status Expect(TokenKind kind, std::string_view what) {
    if (Peek().kind != kind) return Unexpected(what);
    Next();
    return absl::OkStatus();
  }
  absl::Status Unexpected(std::string_view wanted) const {
    return ErrorAt(Peek().line, absl::StrCat(Described(Peek()), " is not expected here"),
                   absl::StrCat(std::string(wanted), " is needed"));
  }
  absl::Status ErrorAt(int64_t line, std::string_view what, std::string_view allowed) const {
    return InputError(absl::StrCat(where_, ":", line), what, allowed);
  }

 private:
  static std::string Described(const Token& token) {
    if (token.kind == TokenKind::kEnd) return "the end of the template";
    if (token.kind == TokenKind::kCloseBlock) return "%}";
    if (token.kind == TokenKind::kCloseOutput) return "}}";
    return absl::StrCat("\"", OneLine(token.text, 40), "\"");
  }

  const std::vector<Token> tokens_;
  const std::string where_;
  size_t at_ = 0;
};

}  // namespace attnrl::text::jinja
