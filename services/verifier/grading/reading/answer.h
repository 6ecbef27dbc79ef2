// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/grading/tokens/latex.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// One way to read an answer.
struct Reading {
  Tokens tokens;
  // nullopt: its tokens are no mathematics that is known; it equals only the same tokens.
  std::optional<Expression> expression;
};

enum class Side {
  kGiven,   // an answer
  kWanted,  // an accepted one
};

// An answer in all its readings: with commas as separators and, where those are others, as
// thousands and as the decimal point. Empty: it can't be read at all (unbalanced braces, not UTF-8,
// nothing but layout), or a limit is exceeded, which work.exhausted() tells.
std::vector<Reading> ReadAnswer(std::string_view text, Side side, int depth, Work& work);

// What an accepted answer says without what files leave around it: the content of its last
// \boxed{} or, where it is several boxes and few words, of all of them; or what follows its last
// "####"; or, of a text in words, its last "the answer is". Doubled backslashes are single ones.
std::string Unwrapped(std::string_view accepted);

// With "\\frac" as "\frac", where the text shows that every backslash was doubled.
std::string Undoubled(std::string_view text);

}  // namespace attnrl::verifier
