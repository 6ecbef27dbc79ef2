// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/tokens/latex_symbols.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace attnrl::verifier {
namespace {

using enum SymbolKind;

std::vector<Symbol> MakeTable() {
  std::vector<Symbol> table = {
      {"$", kLayout, kMathMode},
      {"\\!", kLayout, ""},
      {"\\(", kLayout, kMathMode},
      {"\\)", kLayout, kMathMode},
      {"\\[", kLayout, kMathMode},
      {"\\]", kLayout, kMathMode},
      {"\\displaystyle", kLayout, ""},
      {"\\textstyle", kLayout, ""},
      {"\\limits", kLayout, ""},
      {"\\big", kLayout, ""},
      {"\\Big", kLayout, ""},
      {"\\bigg", kLayout, ""},
      {"\\Bigg", kLayout, ""},
      {"\\bigl", kLayout, ""},
      {"\\bigr", kLayout, ""},
      {"\\Bigl", kLayout, ""},
      {"\\Bigr", kLayout, ""},
      {"\\left", kFence, ""},
      {"\\right", kFence, ""},
      {"~", kSpace, ""},
      {"\\,", kSpace, ""},
      {"\\;", kSpace, ""},
      {"\\:", kSpace, ""},
      {"\\>", kSpace, ""},
      {"\\ ", kSpace, ""},
      {"\\", kSpace, ""},  // "\\ " whose space was trimmed
      {"\\\n", kSpace, ""},
      {"\\quad", kPlain, "\\quad"},
      {"\\qquad", kPlain, "\\quad"},
      {"\\enspace", kPlain, "\\quad"},
      {"\\thinspace", kSpace, ""},
      {"\u00a0", kSpace, ""},  // no-break space
      {"\u2009", kSpace, ""},  // thin space
      {"\u202f", kSpace, ""},  // narrow no-break space
      {"\u2003", kSpace, ""},  // em space
      {"\\text", kStyle, kWords},
      {"\\textbf", kStyle, kWords},
      {"\\textit", kStyle, kWords},
      {"\\textrm", kStyle, kWords},
      {"\\textsf", kStyle, kWords},
      {"\\texttt", kStyle, kWords},
      {"\\textnormal", kStyle, kWords},
      {"\\emph", kStyle, kWords},
      {"\\mbox", kStyle, kWords},
      {"\\mathrm", kStyle, kWords},
      {"\\mathbf", kStyle, ""},
      {"\\mathit", kStyle, ""},
      {"\\mathsf", kStyle, ""},
      {"\\mathtt", kStyle, ""},
      {"\\boldsymbol", kStyle, ""},
      {"\\bm", kStyle, ""},
      {"\\operatorname", kStyle, kWords},
      {"\\frac", kFraction, "\\frac"},
      {"\\dfrac", kFraction, "\\frac"},
      {"\\tfrac", kFraction, "\\frac"},
      {"\\cfrac", kFraction, "\\frac"},
      {"\\binom", kFraction, "\\binom"},
      {"\\dbinom", kFraction, "\\binom"},
      {"\\tbinom", kFraction, "\\binom"},
      {"\\sqrt", kRoot, "\\sqrt"},
      {"^", kScript, "^"},
      {"_", kScript, "_"},
      {"\\%", kPlain, "%"},
      {"\\#", kPlain, "#"},
      {"\\&", kPlain, "&"},
      {"\\_", kPlain, "\\_"},
      {"\\cdot", kPlain, "*"},
      {"\\times", kPlain, "*"},
      {"\\ast", kPlain, "*"},
      {"\u00d7", kPlain, "*"},
      {"\u00b7", kPlain, "*"},
      {"\u22c5", kPlain, "*"},
      {"\\div", kPlain, "/"},
      {"\u00f7", kPlain, "/"},
      {"\u2212", kPlain, "-"},  // minus sign
      {"\u2013", kPlain, "-"},  // en dash
      {"\\lbrace", kPlain, "\\{"},
      {"\\rbrace", kPlain, "\\}"},
      {"\\lbrack", kPlain, "["},
      {"\\rbrack", kPlain, "]"},
      {"\\lparen", kPlain, "("},
      {"\\rparen", kPlain, ")"},
      {"\\vert", kPlain, "|"},
      {"\\lvert", kPlain, "|"},
      {"\\rvert", kPlain, "|"},
      {"\\mid", kPlain, "|"},
      {"\\colon", kPlain, ":"},
      {"\\lt", kPlain, "<"},
      {"\\gt", kPlain, ">"},
      {"\\le", kPlain, "\\leq"},
      {"\\leqslant", kPlain, "\\leq"},
      {"\u2264", kPlain, "\\leq"},
      {"\\ge", kPlain, "\\geq"},
      {"\\geqslant", kPlain, "\\geq"},
      {"\u2265", kPlain, "\\geq"},
      {"\\ne", kPlain, "\\neq"},
      {"\u2260", kPlain, "\\neq"},
      {"\u2248", kPlain, "\\approx"},
      {"\u03c0", kPlain, "\\pi"},
      {"\u03b1", kPlain, "\\alpha"},
      {"\u03b2", kPlain, "\\beta"},
      {"\u03b3", kPlain, "\\gamma"},
      {"\u03b4", kPlain, "\\delta"},
      {"\u03b8", kPlain, "\\theta"},
      {"\u03bb", kPlain, "\\lambda"},
      {"\u03c1", kPlain, "\\rho"},
      {"\u03c3", kPlain, "\\sigma"},
      {"\u03c4", kPlain, "\\tau"},
      {"\u03c6", kPlain, "\\phi"},
      {"\u03c9", kPlain, "\\omega"},
      {"\u221a", kRoot, "\\sqrt"},
      {"\u2044", kPlain, "/"},
      {"\uff10", kPlain, "0"},
      {"\uff11", kPlain, "1"},
      {"\uff12", kPlain, "2"},
      {"\uff13", kPlain, "3"},
      {"\uff14", kPlain, "4"},
      {"\uff15", kPlain, "5"},
      {"\uff16", kPlain, "6"},
      {"\uff17", kPlain, "7"},
      {"\uff18", kPlain, "8"},
      {"\uff19", kPlain, "9"},
      {"\u221e", kPlain, "\\infty"},
      {"\u222a", kPlain, "\\cup"},
      {"\u2229", kPlain, "\\cap"},
      {"\u2208", kPlain, "\\in"},
      {"\u00b1", kPlain, "\\pm"},
      {"\\varnothing", kPlain, "\\emptyset"},
      {"\u2205", kPlain, "\\emptyset"},
      {"\\rightarrow", kPlain, "\\to"},
      {"\\dots", kPlain, "\\ldots"},
      {"\\cdots", kPlain, "\\ldots"},
      {"\\degree", kPlain, "\\degree"},
      {"\u00b0", kPlain, "\\degree"},
      {"\\lnot", kPlain, "\\neg"},
  };
  std::sort(table.begin(), table.end(),
            [](const Symbol& a, const Symbol& b) { return a.name < b.name; });
  return table;
}

}  // namespace

std::optional<Scripted> ScriptOf(std::string_view character) {
  constexpr std::string_view kRaised[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                          "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  constexpr std::string_view kLowered[] = {"\u2080", "\u2081", "\u2082", "\u2083", "\u2084",
                                           "\u2085", "\u2086", "\u2087", "\u2088", "\u2089"};
  constexpr std::string_view kDigits = "0123456789";
  for (size_t digit = 0; digit < kDigits.size(); ++digit) {
    if (character == kRaised[digit]) return Scripted{"^", kDigits.substr(digit, 1)};
    if (character == kLowered[digit]) return Scripted{"_", kDigits.substr(digit, 1)};
  }
  if (character == "\u207b") return Scripted{"^", "-"};
  if (character == "\u207f") return Scripted{"^", "n"};
  return std::nullopt;
}

std::string_view FractionOf(std::string_view character) {
  constexpr std::pair<std::string_view, std::string_view> kFractions[] = {
      {"\u00bd", "12"}, {"\u00bc", "14"}, {"\u00be", "34"}, {"\u2153", "13"}, {"\u2154", "23"},
      {"\u2155", "15"}, {"\u2156", "25"}, {"\u2157", "35"}, {"\u2158", "45"}, {"\u2159", "16"},
      {"\u215a", "56"}, {"\u215b", "18"}, {"\u215c", "38"}, {"\u215d", "58"}, {"\u215e", "78"}};
  for (const auto& [symbol, digits] : kFractions) {
    if (symbol == character) return digits;
  }
  return {};
}

Symbol FindSymbol(std::string_view name) {
  static const auto& table = *new std::vector<Symbol>(MakeTable());
  auto found = std::lower_bound(
      table.begin(), table.end(), name,
      [](const Symbol& symbol, std::string_view key) { return symbol.name < key; });
  if (found != table.end() && found->name == name) return *found;
  return {name, kPlain, name};
}

}  // namespace attnrl::verifier
