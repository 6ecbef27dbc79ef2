// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/latex.h"

#include <cstddef>
#include <utility>

#include "services/verifier/grading/latex_symbols.h"
#include "services/verifier/grading/utf8.h"

namespace attnrl::verifier {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Recursive descent over the raw text; each level of nesting is one Group call.
class Reader {
 public:
  Reader(std::string_view text, int depth, Work& work) : text_(text), depth_(depth), work_(work) {}

  // Appends everything up to the closing brace (consumed) or, at the top level, to the end.
  bool Group(bool top, Tokens& out) {
    while (true) {
      SkipSpace();
      if (at_ == text_.size()) return top;
      if (text_[at_] == '}') {
        ++at_;
        return !top;
      }
      if (!Item(out)) return false;
    }
  }

 private:
  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) {
      ++at_;
      spaced_ = true;
    }
  }

  // The raw token at the reading position: a command or one character. Empty: not UTF-8.
  std::string_view Next() {
    size_t begin = at_;
    if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
      ++at_;
      if (IsLetter(text_[at_])) {
        while (at_ < text_.size() && IsLetter(text_[at_])) ++at_;
        return text_.substr(begin, at_ - begin);
      }
    }
    size_t bytes = CharacterBytes(text_.substr(at_));
    at_ += bytes;
    return bytes == 0 ? std::string_view() : text_.substr(begin, at_ - begin);
  }

  void Emit(std::string_view text, Tokens& out) {
    out.push_back({std::string(text), spaced_, styled_});
    spaced_ = false;
  }

  // A braced group, kept inline where braces mean nothing.
  bool Braced(Tokens& out) {
    ++at_;
    if (depth_ == 0) {
      work_.Exhaust();
      return false;
    }
    --depth_;
    bool ok = Group(false, out);
    ++depth_;
    return ok;
  }

  // One argument: a group, or a single item without one. Always emitted in braces.
  bool Argument(Tokens& out) {
    SkipSpace();
    if (at_ == text_.size() || text_[at_] == '}') return false;
    Emit("{", out);
    spaced_ = false;
    bool ok = false;
    if (text_[at_] == '{') {
      ok = Braced(out);
    } else {
      if (depth_ == 0) {
        work_.Exhaust();
        return false;
      }
      --depth_;
      ok = Item(out);
      ++depth_;
    }
    spaced_ = false;
    Emit("}", out);
    return ok;
  }

  // The content of a style; of one without a group, the next item as it is.
  bool Style(bool words, Tokens& out) {
    SkipSpace();
    if (at_ == text_.size() || text_[at_] != '{') return true;
    bool outer = std::exchange(styled_, styled_ || words);
    bool ok = Braced(out);
    styled_ = outer;
    return ok;
  }

  bool Root(Tokens& out) {
    SkipSpace();
    if (at_ < text_.size() && text_[at_] == '[') {
      ++at_;
      Emit("[", out);
      SkipSpace();
      while (at_ < text_.size() && text_[at_] != ']') {
        if (text_[at_] == '}' || !Item(out)) return false;
        SkipSpace();
      }
      if (at_ == text_.size()) return false;
      ++at_;
      Emit("]", out);
    }
    return Argument(out);
  }

  bool Script(std::string_view script, Tokens& out) {
    Tokens argument;
    bool spaced = std::exchange(spaced_, false);
    if (!Argument(argument)) return false;
    // 90^\circ and 90^{\circ}
    if (script == "^" && argument.size() == 3 && argument[1].text == "\\circ") {
      out.push_back({"\\degree", spaced, styled_});
      return true;
    }
    out.push_back({std::string(script), spaced, styled_});
    for (Token& token : argument) out.push_back(std::move(token));
    return true;
  }

  // A group that isn't an argument: braces are kept, around more than one token, only behind a
  // command that may take them as its argument.
  bool PlainGroup(Tokens& out) {
    if (text_.substr(at_, 3) == "{,}") {
      at_ += 3;
      Emit("{,}", out);
      return true;
    }
    bool argument = !out.empty() && out.back().text.size() > 2 && out.back().text[0] == '\\';
    size_t begin = out.size();
    bool spaced = spaced_;
    if (!Braced(out)) return false;
    if (!argument || out.size() < begin + 2) return true;
    out[begin].spaced = false;
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(begin), {"{", spaced, styled_});
    out.push_back({"}", false, styled_});
    return work_.Spend(static_cast<int64_t>(out.size() - begin));
  }

  bool Item(Tokens& out) {
    if (!work_.Spend(1)) return false;
    if (text_[at_] == '{') return PlainGroup(out);
    std::string_view raw = Next();
    if (raw.empty()) return false;
    Symbol symbol = FindSymbol(raw);
    switch (symbol.kind) {
      case SymbolKind::kLayout:
        return true;
      case SymbolKind::kSpace:
        spaced_ = true;
        return true;
      case SymbolKind::kFence:
        SkipSpace();
        if (at_ < text_.size() && text_[at_] == '.') ++at_;
        return true;
      case SymbolKind::kStyle:
        return Style(symbol.canonical == kWords, out);
      case SymbolKind::kFraction:
        Emit(symbol.canonical, out);
        return Argument(out) && Argument(out);
      case SymbolKind::kRoot:
        Emit(symbol.canonical, out);
        return Root(out);
      case SymbolKind::kScript:
        return Script(symbol.canonical, out);
      case SymbolKind::kPlain:
        Emit(symbol.canonical, out);
        return true;
    }
    return false;
  }

  const std::string_view text_;
  int depth_;
  Work& work_;
  size_t at_ = 0;
  bool spaced_ = false;
  bool styled_ = false;
};

}  // namespace

std::optional<Tokens> ReadLatex(std::string_view text, int depth, Work& work) {
  Tokens tokens;
  if (!Reader(text, depth, work).Group(true, tokens)) return std::nullopt;
  while (!tokens.empty() && tokens.back().text == ".") tokens.pop_back();
  return JoinNumbers(std::move(tokens), work);
}

}  // namespace attnrl::verifier
