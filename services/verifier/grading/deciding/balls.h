// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// How two expressions compare by their values.
enum class Comparison {
  kDifferent,  // proven: at some point their balls don't overlap
  kEqual,      // they agree at every point to more bits than a difference could hide in
  kUnknown,    // they have no value (a set, a word, 1/0), or `work` is exhausted
};

// Compares values in complex ball arithmetic (Arb): constants once, expressions with variables at
// several points, the same ones always. The precision is raised until the balls are disjoint, or
// far beyond the magnitudes that occur in either expression, so that 10^{-1000} is not lost.
// Principal branches, but odd roots of negative numbers are real; an unknown function is the same
// one on both sides. Where one side has a value and the other has none they are not equal.
Comparison CompareValues(const Expression& a, const Expression& b, Work& work);

// Whether a / b is one constant at every point where both have a value, and not zero; `*positive`
// says that it is real and above zero. Both vanishing at every point is no constant.
bool IsConstantRatio(const Expression& a, const Expression& b, Work& work, bool* positive);

// A lower and an upper bound of the real value of a constant, as a difference from `value`:
// |expression - value| <= bound for certain.
bool IsWithin(const Expression& expression, const Rational& value, const Rational& bound,
              Work& work);

}  // namespace attnrl::verifier
