// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/tokens/latex.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "services/verifier/grading/tokens/characters.h"
#include "services/verifier/grading/tokens/latex_symbols.h"
#include "services/verifier/grading/tokens/utf8.h"

namespace attnrl::verifier {
namespace {

bool IsDigitText(std::string_view text) {
  return text.size() == 1 && text[0] >= '0' && text[0] <= '9';
}

constexpr std::string_view kQuad = "\\quad";

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
    // Of "1\[2\]" and "$1$$2$" nobody reads twelve.
    if (apart_ && !out.empty() && IsDigitText(out.back().text) && IsDigitText(text)) {
      out.push_back({.text = "\\quad", .spaced = true, .styled = styled_});
    }
    out.push_back({.text = std::string(text), .spaced = spaced_, .styled = styled_});
    spaced_ = false;
    apart_ = false;
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
    const size_t begin = out.size();
    const bool before = std::exchange(spaced_, false);
    bool ok = Braced(out);
    styled_ = outer;
    if (out.size() > begin) {
      out[begin].spaced = out[begin].spaced || before;
      return ok;
    }
    // \text{ } between two numbers separates them.
    if (words && spaced_) Emit("\\quad", out);
    spaced_ = spaced_ || before;
    return ok;
  }

  bool Root(Tokens& out) {
    SkipSpace();
    if (at_ < text_.size() && text_[at_] == '[') {
      if (depth_ == 0) {
        work_.Exhaust();
        return false;
      }
      ++at_;
      Emit("[", out);
      SkipSpace();
      --depth_;
      while (at_ < text_.size() && text_[at_] != ']') {
        if (text_[at_] == '}' || !Item(out)) return false;
        SkipSpace();
      }
      ++depth_;
      if (at_ == text_.size()) return false;
      ++at_;
      Emit("]", out);
    }
    return Argument(out);
  }

  // The argument is read to where it stays: of nested ones each would be moved once a level.
  bool Script(std::string_view script, Tokens& out) {
    const size_t begin = out.size();
    const bool spaced = std::exchange(spaced_, false);
    out.push_back({.text = std::string(script), .spaced = spaced, .styled = styled_});
    if (!Argument(out)) return false;
    // 90^\circ and 90^{\circ}
    if (script == "^" && out.size() == begin + 4 && out[begin + 2].text == "\\circ") {
      out[begin].text = "\\degree";
      out.resize(begin + 1);
    }
    return true;
  }

  // Behind \begin{array}, where the columns come.
  static bool EndsEnvironmentName(const Tokens& out) {
    constexpr std::string_view kArray[] = {"\\begin", "{", "a", "r", "r", "a", "y", "}"};
    if (out.size() < std::size(kArray)) return false;
    return std::equal(std::begin(kArray), std::end(kArray), out.end() - std::size(kArray),
                      [](std::string_view text, const Token& token) { return token.text == text; });
  }

  // A group that isn't an argument: braces are kept behind a command that may take them as its
  // argument, around more than one token, and where the group is the base of a power.
  bool PlainGroup(Tokens& out) {
    size_t comma = at_ + 1;
    while (comma < text_.size() && IsSpace(text_[comma])) ++comma;
    size_t close = comma + 1;
    while (close < text_.size() && IsSpace(text_[close])) ++close;
    if (close < text_.size() && text_[comma] == ',' && text_[close] == '}') {
      at_ = close + 1;
      Emit("{,}", out);
      return true;
    }
    const bool command = !out.empty() && out.back().text.size() > 2 && out.back().text[0] == '\\';
    const bool columns = EndsEnvironmentName(out);
    const bool digit = !out.empty() && IsDigitText(out.back().text);
    size_t begin = out.size();
    bool spaced = spaced_;
    if (!Braced(out)) return false;
    const size_t size = out.size() - begin;
    // 5{13}^{1/2} is no 513: the group is the base of what follows.
    SkipSpace();
    const bool base = at_ < text_.size() && (text_[at_] == '^' || text_[at_] == '_') &&
                      (size > 1 || (digit && size == 1 && IsDigitText(out[begin].text)));
    if (!columns && !base && !(command && size > 1)) return true;
    if (size == 0) return true;
    out[begin].spaced = false;
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(begin),
               {.text = "{", .spaced = spaced, .styled = styled_});
    out.push_back({.text = "}", .styled = styled_});
    return work_.Spend(static_cast<int64_t>(out.size() - begin));
  }

  // ½
  bool UnicodeFraction(std::string_view raw, Tokens& out) {
    const std::string_view digits = FractionOf(raw);
    if (digits.empty()) return false;
    Emit("\\frac", out);
    for (const char digit : digits) {
      for (const std::string_view text :
           {std::string_view("{"), std::string_view(&digit, 1), std::string_view("}")}) {
        Emit(text, out);
      }
    }
    return true;
  }

  // x², x₁₂
  bool UnicodeScript(std::string_view raw, Tokens& out) {
    const std::optional<Scripted> first = ScriptOf(raw);
    if (!first) return false;
    spaced_ = false;
    Emit(first->script, out);
    Emit("{", out);
    Emit(first->text, out);
    while (at_ < text_.size()) {
      const size_t begin = at_;
      const std::string_view more = Next();
      const std::optional<Scripted> next = ScriptOf(more);
      if (!next || next->script != first->script) {
        at_ = begin;
        break;
      }
      Emit(next->text, out);
    }
    Emit("}", out);
    return true;
  }

  bool Item(Tokens& out) {
    if (!work_.Spend(1)) return false;
    if (text_[at_] == '{') return PlainGroup(out);
    std::string_view raw = Next();
    if (raw.empty()) return false;
    if (raw[0] != '\\' && static_cast<unsigned char>(raw[0]) >= 0x80) {
      if (UnicodeFraction(raw, out) || UnicodeScript(raw, out)) return true;
    }
    // "\quadx" of who forgot the space: no command begins like this one.
    if (raw.size() > kQuad.size() && raw.starts_with(kQuad)) {
      at_ -= raw.size() - kQuad.size();
      raw = kQuad;
    }
    Symbol symbol = FindSymbol(raw);
    switch (symbol.kind) {
      case SymbolKind::kLayout:
        apart_ = apart_ || symbol.canonical == kMathMode;
        // 1,\!000
        if (raw == "\\!" && !out.empty() && out.back().text == ",") out.back().text = "{,}";
        return true;
      case SymbolKind::kSpace:
        spaced_ = true;
        return true;
      case SymbolKind::kFence:
        apart_ = true;
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
  bool apart_ = false;  // a formula or a fence began or ended: what follows is no next digit
};

// ">=" as "\\geq".
void JoinRelations(Tokens& tokens) {
  constexpr std::pair<std::string_view, std::string_view> kJoined[] = {
      {">", "\\geq"}, {"<", "\\leq"}, {"!", "\\neq"}};
  size_t kept = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    // "5!=120" is a factorial.
    const bool factorial = kept > 1 && tokens[kept - 1].text == "!" && !tokens[kept - 1].spaced &&
                           (IsDigitText(tokens[kept - 2].text) || tokens[kept - 2].text == ")");
    if (kept > 0 && tokens[i].text == "=" && !tokens[i].spaced && !factorial) {
      const auto joined =
          std::find_if(std::begin(kJoined), std::end(kJoined),
                       [&](const auto& each) { return each.first == tokens[kept - 1].text; });
      if (joined != std::end(kJoined)) {
        tokens[kept - 1].text = joined->second;
        continue;
      }
    }
    if (kept != i) tokens[kept] = std::move(tokens[i]);
    ++kept;
  }
  tokens.resize(kept);
}

}  // namespace

std::optional<Tokens> ReadLatex(std::string_view text, Commas commas, int depth, Work& work) {
  Tokens tokens;
  if (!Reader(text, depth, work).Group(true, tokens)) return std::nullopt;
  // A full stop ends a sentence; of "0.333..." more is meant than is written.
  const size_t size = tokens.size();
  if (size > 0 && tokens[size - 1].text == "." && (size < 2 || tokens[size - 2].text != ".")) {
    tokens.pop_back();
  }
  JoinRelations(tokens);
  return JoinNumbers(std::move(tokens), commas, work);
}

}  // namespace attnrl::verifier
