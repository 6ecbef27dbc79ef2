// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// The value of an expression of rational numbers, exactly. nullopt: it has variables, roots or
// functions that leave the rational numbers, is not defined (1/0, 0^0), or is too large; `work` is
// exhausted only where even its parts are.
std::optional<Rational> ExactValue(const Expression& expression, Work& work);

// An answer in digits: "8.24", "4.46 \times 10^{19}", with the place of its last digit.
struct Decimal {
  Rational value;
  Rational unit;  // of the last digit: 1/100 of 8.24
  int64_t significant = 0;
};
// nullopt: it is written otherwise, for instance as an integer.
std::optional<Decimal> AsDecimal(const Expression& expression);

}  // namespace attnrl::verifier
