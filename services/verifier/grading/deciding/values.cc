// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "services/verifier/grading/deciding/balls.h"
#include "services/verifier/grading/deciding/decider.h"
#include "services/verifier/grading/expression/exact.h"

namespace attnrl::verifier {
namespace {

// From here on digits are a measurement: 8.24 may be meant where 8.2437 is given, 0.5 may not.
constexpr int64_t kRoundedDigits = 3;

const Rational kHalf(1, 2);

Expression Times(const Expression& value, const Expression& factor) {
  std::vector<Expression> factors;
  factors.push_back(value);
  factors.push_back(factor);
  return MakeProduct(std::move(factors));
}

void AddBases(const Expression& node, std::set<std::string>& bases) {
  if (node.kind == Kind::kBased) bases.insert(node.name);
  for (const Expression& argument : node.arguments) AddBases(argument, bases);
}

bool HasBase(const Expression& node) {
  return node.kind == Kind::kBased ||
         std::any_of(node.arguments.begin(), node.arguments.end(), HasBase);
}

}  // namespace

bool Decider::SameValue(const Expression& given, const Expression& wanted) {
  if (HasBase(given) || HasBase(wanted)) {
    return Because("the same number in the same base", SameBased(given, wanted));
  }
  if (given.kind == Kind::kQuantity || wanted.kind == Kind::kQuantity) {
    return SameQuantity(given, wanted);
  }
  const std::optional<Rational> left = ExactValue(given, work_);
  if (work_.exhausted()) return false;
  const std::optional<Rational> right = left ? ExactValue(wanted, work_) : std::nullopt;
  if (left && right) {
    if (*left == *right) return Because("equal exactly", true);
    return Because("different exactly", SameRounded(given, wanted));
  }
  switch (CompareValues(given, wanted, work_)) {
    case Comparison::kEqual:
      return Because("equal to all bits that could differ", true);
    case Comparison::kDifferent:
      return Because("different values", SameRounded(given, wanted));
    case Comparison::kUnknown:
      break;
  }
  return Because("no value to compare", false);
}

// A decimal number is also met by what rounds to it: with more digits, or exact.
bool Decider::SameRounded(const Expression& given, const Expression& wanted) {
  constexpr int64_t kSteps = 16;
  if (!work_.Spend(kSteps)) return false;
  const std::optional<Decimal> goal = AsDecimal(wanted);
  if (!goal || goal->significant < kRoundedDigits) return false;
  return RoundsTo(given, *goal);
}

bool Decider::IsRoundedAs(const Expression& exact, const Expression& rounded) {
  const std::optional<Decimal> goal = AsDecimal(rounded);
  return goal ? RoundsTo(exact, *goal) : Same(exact, rounded);
}

bool Decider::RoundsTo(const Expression& given, const Decimal& goal) {
  const std::optional<Decimal> mine = AsDecimal(given);
  if (mine && !(mine->unit < goal.unit)) return false;
  if (!mine && given.kind == Kind::kNumber && given.number.IsInteger()) return false;
  const Rational bound = goal.unit * kHalf;
  const std::optional<Rational> exact = ExactValue(given, work_);
  if (work_.exhausted()) return false;
  const bool within = exact ? !(*exact < goal.value - bound) && !(goal.value + bound < *exact)
                            : IsWithin(given, goal.value, bound, work_);
  return Because("rounds to the digits that are wanted", within);
}

// Digits in a base equal the same value in the same base: that is what was asked for.
bool Decider::SameBased(const Expression& given, const Expression& wanted) {
  std::set<std::string> mine;
  std::set<std::string> theirs;
  AddBases(given, mine);
  AddBases(wanted, theirs);
  if (mine != theirs || mine.size() != 1) return false;
  const std::optional<Rational> left = ExactValue(given, work_);
  const std::optional<Rational> right = ExactValue(wanted, work_);
  return left && right && *left == *right;
}

bool Decider::SameQuantity(const Expression& given, const Expression& wanted) {
  const bool both = given.kind == Kind::kQuantity && wanted.kind == Kind::kQuantity;
  if (both) {
    if (given.name != wanted.name) return Because("different units", false);
    if (given.arguments[1] == wanted.arguments[1]) {
      return Same(given.arguments[0], wanted.arguments[0]);
    }
    return Same(Times(given.arguments[0], given.arguments[1]),
                Times(wanted.arguments[0], wanted.arguments[1]));
  }
  const Expression& quantity = given.kind == Kind::kQuantity ? given : wanted;
  if (quantity.name[0] == '\'') return Because("a prime is not left out", false);
  if (quantity.name == "%") {
    const Expression hundredth = MakeNumber(Rational(1, 100));
    if (given.kind == Kind::kQuantity) {
      return Because("a percentage is a hundredth",
                     Same(Times(given.arguments[0], hundredth), wanted));
    }
    return Same(given, wanted.arguments[0]) || Same(given, Times(wanted.arguments[0], hundredth));
  }
  if (given.kind == Kind::kQuantity) {
    return Because("the unit is ignored where none is wanted", Same(given.arguments[0], wanted));
  }
  return Because("the unit may be left out", Same(given, wanted.arguments[0]));
}

}  // namespace attnrl::verifier
