// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "services/verifier/grading/latex.h"
#include "services/verifier/grading/limits.h"

namespace attnrl::verifier {

// Whether the answer given is the one wanted, both in canonical tokens, exactly and without
// guessing: equal as tokens; or both are numbers of equal value (with units: EqualQuantities); or
// both are lists of equal length in equal brackets whose members are the same in order, in any
// order between \{ and \}. Parentheses around a whole answer and "x =" before it mean nothing.
// False also when `work` or `depth` is exceeded, which work.exhausted() tells.
bool Equivalent(std::span<const Token> given, std::span<const Token> wanted, int depth, Work& work);

}  // namespace attnrl::verifier
