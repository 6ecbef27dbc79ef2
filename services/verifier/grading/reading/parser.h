// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/grading/tokens/latex.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// Reads canonical tokens as mathematics: numbers, expressions, relations, and lists, tuples, sets,
// intervals, unions and matrices of them. nullopt: they are none that is known, or ambiguous
// ("1/2(3)"), or `depth` or `work` is exceeded, which work.exhausted() tells. Where several
// conventions exist, the table in README.md says which one holds.
std::optional<Expression> Parse(const Tokens& tokens, int depth, Work& work);

}  // namespace attnrl::verifier
