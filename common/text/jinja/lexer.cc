// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::text::jinja {
namespace {

bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }
bool IsNameBegin(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// A character below U+10000, which is all that \uXXXX can name.
void AppendUtf8(uint32_t code, std::string* text) {
  if (code < 0x80) {
    text->push_back(static_cast<char>(code));
    return;
  }
  if (code < 0x800) {
    text->push_back(static_cast<char>(0xc0 | (code >> 6)));
  } else {
    text->push_back(static_cast<char>(0xe0 | (code >> 12)));
    text->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
  }
  text->push_back(static_cast<char>(0x80 | (code & 0x3f)));
}

// Newlines of all systems become one character; one at the end is no part of the template.
std::string Normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      out.push_back('\n');
    } else {
      out.push_back(source[i]);
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::string where)
      : source_(Normalized(source)), where_(std::move(where)) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) ATTNRL_RETURN_IF_ERROR(TextAndTag());
    Push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  static constexpr size_t kTagSize = 2;

  absl::Status Error(std::string_view what, std::string_view allowed) const {
    return InputError(absl::StrCat(where_, ":", line_), what, allowed);
  }
  bool Sees(std::string_view text) const {
    return std::string_view(source_).substr(at_, text.size()) == text;
  }
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  void Push(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  void Advance(size_t count) {
    const auto begin = source_.begin() + static_cast<std::ptrdiff_t>(at_);
    line_ += std::count(begin, begin + static_cast<std::ptrdiff_t>(count), '\n');
    at_ += count;
  }
  void SkipSpace() {
    while (at_ < source_.size() && IsSpace(source_[at_])) Advance(1);
  }

  // The place of the next tag's first brace.
  size_t NextTag() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] != '{') continue;
      const char second = source_[i + 1];
      if (second == '{' || second == '%' || second == '#') return i;
    }
    return source_.size();
  }

  // The text up to the next tag, and that tag.
  absl::Status TextAndTag() {
    const size_t tag = NextTag();
    std::string text = source_.substr(at_, tag - at_);
    const bool is_end = tag >= source_.size();
    const char kind = is_end ? '\0' : source_[tag + 1];
    const char sign = tag + kTagSize < source_.size() ? source_[tag + kTagSize] : '\0';
    if (!is_end && sign == '-') {
      while (!text.empty() && IsSpace(text.back())) text.pop_back();
    } else if (!is_end && sign != '+' && kind != '{') {
      StripLineBegin(&text);
    }
    if (!text.empty()) Push(TokenKind::kText, std::move(text));
    Advance(tag - at_);
    if (is_end) return absl::OkStatus();
    const int64_t opened = line_;
    const bool has_sign = sign == '-' || (sign == '+' && kind != '{');
    Advance(has_sign ? kTagSize + 1 : kTagSize);
    return kind == '#' ? Comment(opened) : Code(kind == '{', opened);
  }

  // The blanks between the beginning of a line and a block are dropped.
  void StripLineBegin(std::string* text) const {
    const size_t newline = text->rfind('\n');
    if (newline == std::string::npos && !line_begins_) return;
    const size_t begin = newline == std::string::npos ? 0 : newline + 1;
    if (text->find_first_not_of(" \t", begin) == std::string::npos) text->resize(begin);
  }

  // The end of a tag whose closing mark is next; `trims` one newline after it.
  void Close(bool trims) {
    const char sign = Peek();
    const bool has_sign = sign == '-' || sign == '+';
    Advance(has_sign ? kTagSize + 1 : kTagSize);
    line_begins_ = false;
    if (sign == '-') {
      const size_t before = at_;
      SkipSpace();
      line_begins_ = at_ > before && source_[at_ - 1] == '\n';
    } else if (trims && sign != '+' && Peek() == '\n') {
      Advance(1);
      line_begins_ = true;
    }
  }
  bool SeesClose(std::string_view mark, bool plus) const {
    return Sees(mark) || (Peek() == '-' && source_.compare(at_ + 1, mark.size(), mark) == 0) ||
           (plus && Peek() == '+' && source_.compare(at_ + 1, mark.size(), mark) == 0);
  }

  absl::Status Comment(int64_t opened) {
    while (at_ < source_.size() && !SeesClose("#}", true)) Advance(1);
    if (at_ >= source_.size()) return Unclosed("{#", "#}", opened);
    Close(true);
    return absl::OkStatus();
  }
  absl::Status Unclosed(std::string_view open, std::string_view close, int64_t opened) {
    line_ = opened;
    return Error(absl::StrCat(std::string(open), " is never closed"),
                 absl::StrCat(std::string(close), " is needed"));
  }

  absl::Status Code(bool output, int64_t opened) {
    const std::string_view mark = output ? "}}" : "%}";
    Push(output ? TokenKind::kOpenOutput : TokenKind::kOpenBlock, "");
    int depth = 0;  // of brackets: {{ {'a': {}} }} closes with its last braces
    for (;;) {
      SkipSpace();
      if (at_ >= source_.size()) return Unclosed(output ? "{{" : "{%", mark, opened);
      if (depth == 0 && SeesClose(mark, !output)) {
        Push(output ? TokenKind::kCloseOutput : TokenKind::kCloseBlock, "");
        Close(!output);
        return absl::OkStatus();
      }
      const char c = Peek();
      if (c == '(' || c == '[' || c == '{') ++depth;
      if ((c == ')' || c == ']' || c == '}') && depth > 0) --depth;
      ATTNRL_RETURN_IF_ERROR(OneToken());
    }
  }

  absl::Status OneToken() {
    const char c = Peek();
    size_t size = 0;
    if (c == '\'' || c == '"') return StringToken(c);
    if (IsNameBegin(c)) {
      while (IsNameBegin(Peek(size)) || IsDigit(Peek(size))) ++size;
      return Take(TokenKind::kName, size);
    }
    if (IsDigit(c)) {
      while (IsDigit(Peek(size)) || Peek(size) == '_') ++size;
      if (Peek(size) == '.' && IsDigit(Peek(size + 1))) {
        return Error("a number with a point", "whole numbers are supported");
      }
      return Take(TokenKind::kInteger, size);
    }
    for (const std::string_view symbol : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (Sees(symbol)) return Take(TokenKind::kSymbol, symbol.size());
    }
    if (std::string_view("+-*/%~<>=()[]{}.,:|").find(c) != std::string_view::npos) {
      return Take(TokenKind::kSymbol, 1);
    }
    return Error(
        absl::StrCat("'", OneLine(source_.substr(at_, 1)), "' is no part of an expression"),
        "names, texts, whole numbers and operators are");
  }

  absl::Status Take(TokenKind kind, size_t size) {
    std::string text = source_.substr(at_, size);
    text.erase(std::remove(text.begin(), text.end(), kind == TokenKind::kInteger ? '_' : '\0'),
               text.end());
    Push(kind, std::move(text));
    Advance(size);
    return absl::OkStatus();
  }

  absl::Status StringToken(char quote) {
    const int64_t opened = line_;
    std::string text;
    Advance(1);
    while (Peek() != quote || at_ >= source_.size()) {
      if (at_ >= source_.size()) return Unclosed(std::string(1, quote), "a second one", opened);
      if (Peek() != '\\') {
        text.push_back(Peek());
        Advance(1);
        continue;
      }
      ATTNRL_RETURN_IF_ERROR(Escape(&text));
    }
    Advance(1);
    tokens_.push_back({TokenKind::kString, std::move(text), opened});
    return absl::OkStatus();
  }

  absl::Status Escape(std::string* text) {
    constexpr std::array<std::pair<char, char>, 6> kEscapes = {
        {{'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'\\', '\\'}, {'\'', '\''}, {'"', '"'}}};
    const char c = Peek(1);
    for (const auto& [letter, meant] : kEscapes) {
      if (c != letter) continue;
      text->push_back(meant);
      Advance(2);
      return absl::OkStatus();
    }
    uint32_t code = 0;
    const std::string digits = source_.substr(std::min(at_ + 2, source_.size()), 4);
    const bool is_code = c == 'u' && digits.size() == 4 && absl::SimpleHexAtoi(digits, &code);
    if (!is_code || (code >= 0xd800 && code < 0xe000)) {
      return Error(absl::StrCat("the escape \\", OneLine(std::string(1, c))),
                   "\\n, \\t, \\r, \\\\, \\', \\\" and \\uXXXX are supported");
    }
    AppendUtf8(code, text);
    Advance(6);
    return absl::OkStatus();
  }

  const std::string source_;
  const std::string where_;
  size_t at_ = 0;
  int64_t line_ = 1;
  bool line_begins_ = true;  // nothing but what was trimmed stands before `at_` on its line
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source, const std::string& where) {
  return Lexer(source, where).Run();
}

}  // namespace attnrl::text::jinja
