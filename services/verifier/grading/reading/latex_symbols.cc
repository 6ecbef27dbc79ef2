// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/latex_symbols.h"

#include <algorithm>
#include <vector>

namespace attnrl::verifier {
namespace {

using enum SymbolKind;

std::vector<Symbol> MakeTable() {
  std::vector<Symbol> table = {
      {"$", kLayout, ""},
      {"\\!", kLayout, ""},
      {"\\(", kLayout, ""},
      {"\\)", kLayout, ""},
      {"\\[", kLayout, ""},
      {"\\]", kLayout, ""},
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
      {"\u03c0", kPlain, "\\pi"},
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

Symbol FindSymbol(std::string_view name) {
  static const auto& table = *new std::vector<Symbol>(MakeTable());
  auto found = std::lower_bound(
      table.begin(), table.end(), name,
      [](const Symbol& symbol, std::string_view key) { return symbol.name < key; });
  if (found != table.end() && found->name == name) return *found;
  return {name, kPlain, name};
}

}  // namespace attnrl::verifier
