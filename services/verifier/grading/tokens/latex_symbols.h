// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace attnrl::verifier {

// What a command or character means to ReadLatex.
enum class SymbolKind {
  kPlain,     // stands for itself, or for `canonical`
  kLayout,    // dropped
  kSpace,     // white space
  kStyle,     // dropped; its argument is kept, as words where `canonical` is kWords
  kFence,     // \left, \right: dropped, also the empty delimiter "." after it
  kFraction,  // two arguments
  kRoot,      // one argument and an optional one in brackets
  kScript,    // ^ or _: one argument
};

inline constexpr std::string_view kWords = "words";
// Of layout that begins or ends a formula.
inline constexpr std::string_view kMathMode = "math";

struct Symbol {
  std::string_view name;
  SymbolKind kind;
  std::string_view canonical;
};

// A raised or lowered character, as "\u00b2".
struct Scripted {
  std::string_view script;  // "^" or "_"
  std::string_view text;
};
std::optional<Scripted> ScriptOf(std::string_view character);

// The two digits of a fraction in one character, as "\u00bd"; empty: it is none.
std::string_view FractionOf(std::string_view character);

// The entry of a raw token ("\dfrac", "~", a UTF-8 character); kPlain standing for itself where
// there is none.
Symbol FindSymbol(std::string_view name);

}  // namespace attnrl::verifier
