// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <acb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// A complex ball: Arb's acb as a value that can only be used in place.
class Ball {
 public:
  Ball() { acb_init(value_); }
  ~Ball() { acb_clear(value_); }
  Ball(const Ball&) = delete;
  Ball& operator=(const Ball&) = delete;
  acb_ptr get() { return value_; }
  acb_srcptr get() const { return value_; }

 private:
  acb_t value_;
};

// Whether it may be real, for all that the ball says.
inline bool IsReal(const Ball& value) { return arb_contains_zero(acb_imagref(value.get())) != 0; }

// The variables of the expressions that are compared, in order. A variable's place decides at which
// points it is negative: at one of the odd points all are, and any two differ at another one, so
// that neither |x| passes for x nor |xy| for xy.
using Variables = std::vector<std::string>;

// Where expressions are evaluated: one of the points, whose variables are all multiplied with
// `scale`.
struct Place {
  int point = 0;  // from 0 on
  double scale = 1;
};

// False where it contains variables or unknown functions.
bool IsConstant(const Expression& node);

// Evaluates expressions at one of the points, with one precision.
class BallEvaluator {
 public:
  // `variables` outlives this.
  BallEvaluator(Place place, int64_t precision, const Variables& variables, Work& work)
      : point_(place.point),
        scale_(place.scale),
        precision_(precision),
        variables_(variables),
        work_(work) {}

  // False where the expression has no finite value, or the work is used up.
  bool Evaluate(const Expression& node, Ball& out);

  // Bits between the largest and the smallest magnitude that occurred and 1: what a small
  // difference could hide behind.
  int64_t magnitude() const { return magnitude_; }

 private:
  bool Fold(const Expression& node, Ball& out);
  bool Power(const Expression& node, Ball& out);
  bool Function(const Expression& node, Ball& out);
  bool Call(const Expression& node, Ball& out);
  bool Symbol(const std::string& name, Ball& out);
  // A number from 1/4 to 13/4 that only depends on the name, the index and the point.
  void Chosen(const std::string& name, int index, Ball& out) const;
  bool IsNegativeHere(const std::string& name) const;
  bool Note(const Ball& value);
  void NoteSaturation(const std::string& function, const Ball& x);
  bool Pay(int64_t steps);

  const int point_;
  const double scale_;
  const int64_t precision_;
  const Variables& variables_;
  Work& work_;
  int64_t magnitude_ = 0;
};

}  // namespace attnrl::verifier
