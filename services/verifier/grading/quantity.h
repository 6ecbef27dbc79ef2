// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>

#include "services/verifier/grading/latex.h"
#include "services/verifier/grading/limits.h"
#include "services/verifier/grading/rational.h"

namespace attnrl::verifier {

// A number and the unit behind it: 5\text{ cm}, 90^\circ, 20\%. A unit is one or more words in a
// text style that could not change what the number says ("or", "more", "to" are none), perhaps with
// powers and slashes; or a degree or per cent sign, as which "degrees" and "percent" count too.
struct Quantity {
  Rational value;
  std::string unit;  // empty where there is none
};

// nullopt where `tokens` are anything else, or `work` or `depth` is exceeded.
std::optional<Quantity> ReadQuantity(std::span<const Token> tokens, int depth, Work& work);

// Equal values in the same unit, or with a unit on one side only: people leave them out. For a
// wanted percentage both 20 and 0.2 are given; a given percentage is never a plain number.
bool EqualQuantities(const Quantity& given, const Quantity& wanted, Work& work);

}  // namespace attnrl::verifier
