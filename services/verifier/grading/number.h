// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "services/verifier/grading/latex.h"
#include "services/verifier/grading/limits.h"
#include "services/verifier/grading/rational.h"

namespace attnrl::verifier {

// The exact value of canonical tokens (ReadLatex) that form arithmetic over rational numbers:
//   + - * / ( ) \frac, implied products such as 2(3), mixed numbers 2\frac{1}{2} and 2 1/2, integer
//   powers, % at the end of a factor.
// nullopt: anything else (a letter, a root, a division by zero, 0^0), or `work` or `depth` is
// exceeded, which work.exhausted() tells. No floating point.
std::optional<Rational> EvaluateNumber(std::span<const Token> tokens, int depth, Work& work);

}  // namespace attnrl::verifier
