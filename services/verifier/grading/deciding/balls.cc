// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/deciding/balls.h"

#include <acb.h>

#include "services/verifier/grading/deciding/ball.h"

namespace attnrl::verifier {
namespace {

constexpr int kPoints = 8;
// Fewer values than these say nothing about expressions with variables.
constexpr int kEnoughPoints = 3;
constexpr int64_t kFirstPrecision = 192;
constexpr int64_t kSpareBits = 96;
constexpr int64_t kMaxPrecision = 100'000;

bool IsConstant(const Expression& node) {
  if (node.kind == Kind::kCall) return false;
  if (node.kind == Kind::kSymbol && node.name != "\\pi" && node.name != "e" && node.name != "i") {
    return false;
  }
  for (const Expression& argument : node.arguments) {
    if (!IsConstant(argument)) return false;
  }
  return true;
}

// Whether |value| < 2^-bits for certain.
bool IsTiny(const Ball& value, int64_t bits) {
  mag_t bound;
  mag_init(bound);
  acb_get_mag(bound, value.get());
  const bool tiny = mag_cmp_2exp_si(bound, -bits) < 0;
  mag_clear(bound);
  return tiny;
}

// Evaluates both to a precision that no difference between them hides behind.
Comparison CompareAt(int point, const Expression& a, const Expression& b, Work& work) {
  int64_t precision = kFirstPrecision;
  while (true) {
    Ball left;
    Ball right;
    BallEvaluator evaluator(point, precision, work);
    if (!evaluator.Evaluate(a, left) || !evaluator.Evaluate(b, right)) {
      return Comparison::kUnknown;
    }
    Ball difference;
    acb_sub(difference.get(), left.get(), right.get(), precision);
    if (!acb_contains_zero(difference.get())) return Comparison::kDifferent;
    // As many bits as any magnitude has, twice: for the largest and the smallest.
    const int64_t hidden = 2 * evaluator.magnitude() + kSpareBits;
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

}  // namespace

Comparison CompareValues(const Expression& a, const Expression& b, Work& work) {
  if (IsConstant(a) && IsConstant(b)) return CompareAt(0, a, b, work);
  int agreeing = 0;
  for (int point = 0; point < kPoints && !work.exhausted(); ++point) {
    const Comparison comparison = CompareAt(point, a, b, work);
    if (comparison == Comparison::kDifferent) return comparison;
    agreeing += comparison == Comparison::kEqual ? 1 : 0;
  }
  if (work.exhausted() || agreeing < kEnoughPoints) return Comparison::kUnknown;
  return Comparison::kEqual;
}

bool IsConstantRatio(const Expression& a, const Expression& b, Work& work, bool* positive) {
  // a(p) b(q) == a(q) b(p) for all points p and one q.
  constexpr int64_t kPrecision = 512;
  Ball a0;
  Ball b0;
  int first = -1;
  int agreeing = 0;
  for (int point = 0; point < kPoints && !work.exhausted(); ++point) {
    Ball left;
    Ball right;
    BallEvaluator evaluator(point, kPrecision, work);
    if (!evaluator.Evaluate(a, left) || !evaluator.Evaluate(b, right)) continue;
    if (2 * evaluator.magnitude() + kSpareBits > kPrecision) return false;
    if (acb_contains_zero(left.get()) || acb_contains_zero(right.get())) return false;
    if (first < 0) {
      first = point;
      Ball ratio;
      acb_div(ratio.get(), left.get(), right.get(), kPrecision);
      *positive =
          arb_is_positive(acb_realref(ratio.get())) && arb_contains_zero(acb_imagref(ratio.get()));
      acb_swap(a0.get(), left.get());
      acb_swap(b0.get(), right.get());
      ++agreeing;
      continue;
    }
    acb_mul(left.get(), left.get(), b0.get(), kPrecision);
    acb_mul(right.get(), right.get(), a0.get(), kPrecision);
    acb_sub(left.get(), left.get(), right.get(), kPrecision);
    if (!acb_contains_zero(left.get())) return false;
    if (!IsTiny(left, kPrecision / 4)) return false;
    ++agreeing;
  }
  return !work.exhausted() &&
         (agreeing >= kEnoughPoints || (agreeing > 0 && IsConstant(a) && IsConstant(b)));
}

bool IsWithin(const Expression& expression, const Rational& value, const Rational& bound,
              Work& work) {
  if (!IsConstant(expression)) return false;
  constexpr int64_t kPrecision = 1024;
  Ball ball;
  if (!BallEvaluator(0, kPrecision, work).Evaluate(expression, ball)) return false;
  Ball center;
  acb_set_fmpq(center.get(), value.get(), kPrecision);
  acb_sub(ball.get(), ball.get(), center.get(), kPrecision);
  if (!arb_contains_zero(acb_imagref(ball.get()))) return false;
  arb_abs(acb_realref(ball.get()), acb_realref(ball.get()));
  acb_set_fmpq(center.get(), bound.get(), kPrecision);
  return arb_le(acb_realref(ball.get()), acb_realref(center.get()));
}

}  // namespace attnrl::verifier
