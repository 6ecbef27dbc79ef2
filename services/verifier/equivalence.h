// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "services/verifier/latex.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// Whether two answers in canonical tokens are the same, exactly and without guessing: equal as
// tokens; or both are numbers of equal value; or both are lists of equal length in equal brackets
// whose members are the same in order, in any order between \{ and \}. Parentheses around a whole
// answer and "x =" before it mean nothing. False also when `work` or `depth` is exceeded, which
// work.exhausted() tells.
bool Equivalent(std::span<const Token> a, std::span<const Token> b, int depth, Work& work);

}  // namespace attnrl::verifier
