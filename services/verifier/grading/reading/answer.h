// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/grading/reading/latex.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// One way to read an answer.
struct Reading {
  Tokens tokens;
  // nullopt: its tokens are no mathematics that is known; it equals only the same tokens.
  std::optional<Expression> expression;
};

// An answer in all its readings: with commas as separators and, where that is another one, as
// thousands. Empty: it can't be read at all (unbalanced braces, not UTF-8, nothing but layout), or
// a limit is exceeded, which work.exhausted() tells.
std::vector<Reading> ReadAnswer(std::string_view text, int depth, Work& work);

// What an accepted answer says without what files leave around it: the content of its last
// \boxed{} or, where it is nothing but several boxes, of all of them; or what follows its last
// "####". Doubled backslashes are single ones.
std::string Unwrapped(std::string_view accepted);

// With "\\frac" as "\frac", where the text shows that every backslash was doubled.
std::string Undoubled(std::string_view text);

}  // namespace attnrl::verifier
