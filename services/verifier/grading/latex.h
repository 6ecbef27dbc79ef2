// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/verifier/grading/limits.h"

namespace attnrl::verifier {

// One canonical token of a mathematical text: a number ("42", "0.5"), a letter, a symbol, a command
// ("\pi"), or a brace around an argument.
struct Token {
  std::string text;
  // White space stood before it. Means nothing but between two numbers.
  bool spaced = false;
  // It stood in a text style (\text, \mathrm, ...): a word, rather than variables.
  bool styled = false;

  // Equal whatever their spacing and style.
  bool operator==(const Token& other) const { return text == other.text; }
};

using Tokens = std::vector<Token>;

// Reads a mathematical text as people and models write it (LaTeX, plain, or a mixture) into one
// spelling of it, so that texts that typeset alike become equal:
//   - layout is dropped: $, \left, \!, \displaystyle, redundant braces, a full stop at the end;
//   - styles are dropped, their content kept: \text, \mathbf, \mathrm, \boldsymbol, ...;
//   - synonyms become one: \dfrac and \frac, \cdot and \times and "×", \le and \leq and "≤";
//   - arguments of \frac, \sqrt, ^ and _ are always braced: \frac12, x^2;
//   - numbers become one token without needless zeros or separators: 6{,}455, 1,\!600, 055, .50.
// nullopt: it can't be read (unbalanced braces, a \frac without arguments, bytes that are not
// UTF-8), or `work` or `depth` is exceeded, which work.exhausted() tells.
std::optional<Tokens> ReadLatex(std::string_view text, int depth, Work& work);

// The pass of ReadLatex over numbers: digits become one token each, thousands are joined.
Tokens JoinNumbers(Tokens tokens, Work& work);

// True for a token that is a number.
bool IsNumber(const Token& token);

}  // namespace attnrl::verifier
