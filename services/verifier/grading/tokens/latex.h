// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/verifier/limits.h"

namespace attnrl::verifier {

// One canonical token of a mathematical text: a number ("42", "0.5"), a letter, a symbol, a command
// ("\pi"), or a brace around an argument.
struct Token {
  std::string text;
  // White space stood before it. Means nothing but between two numbers.
  bool spaced = false;
  // It stood in a text style (\text, \mathrm, ...): a word, rather than variables.
  bool styled = false;
  // Of a number: digits behind the point as it was written, -1 without one; and digits from the
  // first that isn't 0 on.
  int64_t decimals = -1;
  int64_t significant = 0;
  // Of a number: its digits as they were written, with needless zeros.
  int64_t digits = 0;

  // Equal whatever their spacing and style.
  bool operator==(const Token& other) const { return text == other.text; }
};

using Tokens = std::vector<Token>;

// What commas between digits are, where they could be both: "81,256".
enum class Commas {
  kList,       // they separate members
  kThousands,  // they group digits, where no space is behind them
};

// Reads a mathematical text as people and models write it (LaTeX, plain, or a mixture) into one
// spelling of it, so that texts that typeset alike become equal:
//   - layout is dropped: $, \left, \!, \displaystyle, redundant braces, a full stop at the end;
//   - styles are dropped, their content kept: \text, \mathbf, \mathrm, \boldsymbol, ...;
//   - synonyms become one: \dfrac and \frac, \cdot and \times and "×", \le and \leq and "≤";
//   - arguments of \frac, \sqrt, ^ and _ are always braced: \frac12, x^2;
//   - numbers become one token without needless zeros or separators: 6{,}455, 1,\!600, 055, .50.
// nullopt: it can't be read (unbalanced braces, a \frac without arguments, bytes that are not
// UTF-8), or `work` or `depth` is exceeded, which work.exhausted() tells.
std::optional<Tokens> ReadLatex(std::string_view text, Commas commas, int depth, Work& work);

// The pass of ReadLatex over numbers: digits become one token each, thousands are joined.
Tokens JoinNumbers(Tokens tokens, Commas commas, Work& work);

// True for a token that is a number.
bool IsNumber(const Token& token);

}  // namespace attnrl::verifier
