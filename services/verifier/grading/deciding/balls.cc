// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/deciding/balls.h"

#include <acb.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "services/verifier/grading/deciding/ball.h"
#include "services/verifier/grading/deciding/kinks.h"
#include "services/verifier/grading/expression/exact.h"

namespace attnrl::verifier {
namespace {

constexpr int kPoints = 8;
// Fewer values than these say nothing about expressions with variables.
constexpr int kEnoughPoints = 3;
constexpr int64_t kFirstPrecision = 192;
constexpr int64_t kSpareBits = 96;
// Of the work that is left, for a place beside the points.
constexpr int64_t kShareOfPlace = 8;
constexpr int64_t kMaxPrecision = 100'000;
// Beyond, no precision is enough.
constexpr int64_t kMostDoublings = 20;

// Whether its derivative vanishes somewhere: of values near there it makes values twice as near.
bool HasCriticalPoint(const Expression& node) {
  static constexpr std::string_view kNames[] = {"\\sin",  "\\cos", "\\sec",  "\\csc",
                                                "\\cosh", "!",     "\\binom"};
  return node.kind == Kind::kCall ||
         (node.kind == Kind::kFunction &&
          std::find(std::begin(kNames), std::end(kNames), node.name) != std::end(kNames));
}

// How many of those are within each other.
int64_t CriticalDepth(const Expression& node) {
  int64_t depth = 0;
  for (const Expression& argument : node.arguments) {
    depth = std::max(depth, CriticalDepth(argument));
  }
  return depth + (HasCriticalPoint(node) ? 1 : 0);
}

// Adds the names of variables in `node`, and counts what may bring values close to each other that
// are not equal: roots, quotients and functions.
void Explore(const Expression& node, Variables& variables, int64_t& close) {
  const bool power = node.kind == Kind::kPower && (node.arguments[1].kind != Kind::kNumber ||
                                                   !node.arguments[1].number.IsInteger() ||
                                                   node.arguments[1].number.IsNegative());
  const bool constant = node.kind == Kind::kSymbol && IsConstant(node);
  if (power || constant || node.kind == Kind::kFunction || node.kind == Kind::kCall) ++close;
  if (node.kind == Kind::kSymbol && !constant) variables.push_back(node.name);
  for (const Expression& argument : node.arguments) Explore(argument, variables, close);
}

// With every part of rational numbers as one number, so that sums of them lose nothing.
Expression Folded(const Expression& node, Work& work) {
  if (node.arguments.empty()) return node;
  Expression folded =
      Changed(node, [&](const Expression& argument) { return Folded(argument, work); });
  const bool numbers =
      std::all_of(folded.arguments.begin(), folded.arguments.end(),
                  [](const Expression& argument) { return argument.kind == Kind::kNumber; });
  if (numbers) {
    std::optional<Rational> value = ExactValue(folded, work);
    return value ? MakeNumber(*std::move(value)) : folded;
  }
  if (folded.kind != Kind::kSum) return folded;
  Expression total = MakeNode(Kind::kSum, "", {});
  std::vector<Expression> others;
  for (Expression& term : folded.arguments) {
    (term.kind == Kind::kNumber ? total.arguments : others).push_back(std::move(term));
  }
  if (const std::optional<Rational> value = ExactValue(total, work)) {
    others.push_back(MakeNumber(*value));
  } else {
    others.push_back(std::move(total));
  }
  return MakeSum(std::move(others));
}

// What is to be compared, and what is known about both sides.
struct Pair {
  Pair(const Expression& left, const Expression& right, Work& work)
      : a(Folded(left, work)), b(Folded(right, work)) {
    Explore(a, variables, close);
    Explore(b, variables, close);
    doublings =
        std::clamp<int64_t>(std::max(CriticalDepth(a), CriticalDepth(b)) - 1, 0, kMostDoublings);
    std::sort(variables.begin(), variables.end());
    variables.erase(std::unique(variables.begin(), variables.end()), variables.end());
  }
  // The bits that no difference between both hides behind, for the magnitudes that occurred. A sum
  // of n roots or logarithms of numbers of k bits can vanish up to some nk bits; and each function
  // around another one may double how near values are: \sin(\frac{\pi}{2} \sin(\frac{\pi}{2} ...)).
  int64_t HiddenBits(int64_t magnitude) const {
    const int64_t bits = std::min(2 * magnitude * (1 + close), 2 * kMaxPrecision);
    return (bits << doublings) + kSpareBits;
  }

  const Expression a;
  const Expression b;
  Variables variables;
  int64_t close = 0;
  int64_t doublings = 0;
};

// Whether |value| < 2^-bits for certain.
bool IsTiny(const Ball& value, int64_t bits) {
  mag_t bound;
  mag_init(bound);
  acb_get_mag(bound, value.get());
  const bool tiny = mag_cmp_2exp_si(bound, -bits) < 0;
  mag_clear(bound);
  return tiny;
}

// Evaluates both to a precision that no difference between them hides behind. `real`: other values
// say nothing.
Comparison CompareAt(Place place, const Pair& pair, bool real, Work& work) {
  int64_t precision = kFirstPrecision;
  while (true) {
    Ball left;
    Ball right;
    BallEvaluator evaluator(place, precision, pair.variables, work);
    const bool has_left = evaluator.Evaluate(pair.a, left);
    const bool has_right = evaluator.Evaluate(pair.b, right);
    if (work.exhausted()) return Comparison::kUnknown;
    if (has_left != has_right) return Comparison::kDifferent;
    if (!has_left) return Comparison::kUnknown;
    if (real && (!IsReal(left) || !IsReal(right))) return Comparison::kUnknown;
    Ball difference;
    acb_sub(difference.get(), left.get(), right.get(), precision);
    if (!acb_contains_zero(difference.get())) return Comparison::kDifferent;
    const int64_t hidden = pair.HiddenBits(evaluator.magnitude());
    if (precision >= hidden && IsTiny(difference, hidden / 2)) return Comparison::kEqual;
    const int64_t next = precision >= hidden ? 2 * precision : hidden;
    if (next > kMaxPrecision) {
      work.Exhaust();
      return Comparison::kUnknown;
    }
    // The balls stay wide where the value is not defined: at a pole, on a branch cut.
    if (precision >= hidden && precision > 8 * kFirstPrecision) return Comparison::kUnknown;
    precision = next;
  }
}

// Whether `differ`(place, work) holds somewhere between the kinks. Values far away may be too large
// to compare, which says nothing.
template <typename Differ>
bool DifferBetweenKinks(const Pair& pair, Differ differ, Work& work) {
  for (const Place& place : PlacesBetweenKinks(pair.a, pair.b, pair.variables, work)) {
    const int64_t share = work.left() / kShareOfPlace;
    Work some(share);
    const bool different = differ(place, some);
    work.Spend(some.exhausted() ? share : share - some.left());
    if (different && !some.exhausted()) return true;
  }
  return false;
}

// Whether a / b isn't what it is at the point `base`. Both may be zero.
bool HasOtherRatioAt(Place place, int base, const Pair& pair, Work& work) {
  int64_t precision = kFirstPrecision;
  while (true) {
    Ball values[4];
    BallEvaluator here(place, precision, pair.variables, work);
    BallEvaluator there({base}, precision, pair.variables, work);
    if (!here.Evaluate(pair.a, values[0]) || !here.Evaluate(pair.b, values[1]) ||
        !there.Evaluate(pair.a, values[2]) || !there.Evaluate(pair.b, values[3]) ||
        !IsReal(values[0]) || !IsReal(values[1])) {
      return false;
    }
    acb_mul(values[0].get(), values[0].get(), values[3].get(), precision);
    acb_mul(values[1].get(), values[1].get(), values[2].get(), precision);
    acb_sub(values[0].get(), values[0].get(), values[1].get(), precision);
    if (!acb_contains_zero(values[0].get())) return true;
    const int64_t hidden = pair.HiddenBits(std::max(here.magnitude(), there.magnitude()));
    if (precision >= hidden || hidden > kMaxPrecision) return false;
    precision = hidden;
  }
}

}  // namespace

Comparison CompareValues(const Expression& a, const Expression& b, Work& work) {
  // Copies, and the names of variables.
  if (!work.Spend(8 * (Size(a) + Size(b)))) return Comparison::kUnknown;
  const Pair pair(a, b, work);
  if (IsConstant(a) && IsConstant(b)) return CompareAt({}, pair, false, work);
  int agreeing = 0;
  for (int point = 0; point < kPoints && !work.exhausted(); ++point) {
    const Comparison comparison = CompareAt({point}, pair, false, work);
    if (comparison == Comparison::kDifferent) return comparison;
    agreeing += comparison == Comparison::kEqual ? 1 : 0;
  }
  if (work.exhausted() || agreeing < kEnoughPoints) return Comparison::kUnknown;
  const auto differ = [&](const Place& place, Work& some) {
    return CompareAt(place, pair, true, some) == Comparison::kDifferent;
  };
  if (DifferBetweenKinks(pair, differ, work)) return Comparison::kDifferent;
  return work.exhausted() ? Comparison::kUnknown : Comparison::kEqual;
}

bool IsConstantRatio(const Expression& a, const Expression& b, Work& work, bool* positive) {
  // a(p) b(q) == a(q) b(p) for all points p and one q.
  if (!work.Spend(8 * (Size(a) + Size(b)))) return false;
  const Pair pair(a, b, work);
  int64_t precision = 512;
  Ball a0;
  Ball b0;
  int agreeing = 0;
  int base = 0;
  for (int point = 0; point < kPoints && !work.exhausted(); ++point) {
    Ball left;
    Ball right;
    BallEvaluator evaluator({point}, precision, pair.variables, work);
    const bool has_left = evaluator.Evaluate(pair.a, left);
    const bool has_right = evaluator.Evaluate(pair.b, right);
    if (has_left != has_right) return false;
    if (!has_left) continue;
    const int64_t hidden = pair.HiddenBits(evaluator.magnitude());
    if (hidden > precision) {
      // From the start: all points need the same precision.
      if (hidden > kMaxPrecision) return false;
      precision = 2 * hidden;
      agreeing = 0;
      point = -1;
      continue;
    }
    if (acb_contains_zero(left.get()) || acb_contains_zero(right.get())) return false;
    if (agreeing++ == 0) {
      base = point;
      Ball ratio;
      acb_div(ratio.get(), left.get(), right.get(), precision);
      *positive = arb_is_positive(acb_realref(ratio.get())) && IsReal(ratio);
      acb_swap(a0.get(), left.get());
      acb_swap(b0.get(), right.get());
      continue;
    }
    acb_mul(left.get(), left.get(), b0.get(), precision);
    acb_mul(right.get(), right.get(), a0.get(), precision);
    acb_sub(left.get(), left.get(), right.get(), precision);
    if (!acb_contains_zero(left.get()) || !IsTiny(left, hidden / 2)) return false;
  }
  const auto differ = [&](const Place& place, Work& some) {
    return HasOtherRatioAt(place, base, pair, some);
  };
  if (DifferBetweenKinks(pair, differ, work)) return false;
  return !work.exhausted() &&
         (agreeing >= kEnoughPoints || (agreeing > 0 && IsConstant(a) && IsConstant(b)));
}

bool IsWithin(const Expression& expression, const Rational& value, const Rational& bound,
              Work& work) {
  if (!IsConstant(expression)) return false;
  constexpr int64_t kPrecision = 1024;
  Ball ball;
  const Variables none;
  if (!BallEvaluator({}, kPrecision, none, work).Evaluate(expression, ball)) return false;
  Ball center;
  acb_set_fmpq(center.get(), value.get(), kPrecision);
  acb_sub(ball.get(), ball.get(), center.get(), kPrecision);
  if (!IsReal(ball)) return false;
  arb_abs(acb_realref(ball.get()), acb_realref(ball.get()));
  acb_set_fmpq(center.get(), bound.get(), kPrecision);
  return arb_le(acb_realref(ball.get()), acb_realref(center.get()));
}

}  // namespace attnrl::verifier
