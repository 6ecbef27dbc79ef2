// SPDX-License-Identifier: Apache-2.0
// The closed tables of words that may stand behind a number. What is in neither is no unit: it
// scales, negates or names something, and the number without it is another answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/verifier/grading/expression/rational.h"

namespace attnrl::verifier {

// A unit in terms of one of its dimension: 1 cm is 1/100 of "m".
struct Unit {
  std::string dimension = {};  // "m", "s", "$", "deg", "%", or the word of a thing that is counted
  Rational factor = Rational(1);
  // Letters that could be variables, as "mg"; not a word.
  bool symbol = false;
};

// The unit of one word or symbol: "cm", "inches", "people"; nullopt: none.
std::optional<Unit> FindUnit(std::string_view word);

// What a word multiplies a number with: "million", "dozen"; nullopt: not such a word.
std::optional<Rational> FindScale(std::string_view word);

}  // namespace attnrl::verifier
