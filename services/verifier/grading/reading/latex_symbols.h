// SPDX-License-Identifier: Apache-2.0
#pragma once

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

struct Symbol {
  std::string_view name;
  SymbolKind kind;
  std::string_view canonical;
};

// The entry of a raw token ("\dfrac", "~", a UTF-8 character); kPlain standing for itself where
// there is none.
Symbol FindSymbol(std::string_view name);

}  // namespace attnrl::verifier
