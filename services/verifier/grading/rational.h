// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "services/verifier/grading/limits.h"

namespace attnrl::verifier {

// An exact fraction of integers of any size, in limbs of nine decimal digits: decimal numbers are
// read and scaled in linear time. Fractions are not reduced, as no common divisor is needed to
// compare them. Every operation counts its work; when it is used up the value is meaningless and
// Work::exhausted says so. A plain value; not shared between threads.
class Rational {
 public:
  // Zero.
  Rational() = default;
  // `digits` has only digits, with at most one point, and at least one digit: "007", ".50", "3.".
  static Rational FromDecimal(std::string_view digits, Work& work);

  bool IsZero() const { return numerator_.empty(); }
  void Negate() { negative_ = !negative_ && !IsZero(); }

  friend Rational Add(const Rational& a, const Rational& b, Work& work);
  friend Rational Multiply(const Rational& a, const Rational& b, Work& work);
  // b must not be zero.
  friend Rational Divide(const Rational& a, const Rational& b, Work& work);
  // a to the power of an integer; a must not be zero where exponent <= 0.
  friend Rational Power(const Rational& a, int64_t exponent, Work& work);
  friend bool Equal(const Rational& a, const Rational& b, Work& work);

  // The value as an integer; false where it is none, or not between -limit and limit.
  bool ToInteger(int64_t limit, int64_t* value, Work& work) const;

 private:
  // Little endian in base 10^9, without leading zero limbs; zero is empty.
  using Limbs = std::vector<uint32_t>;

  static void Trim(Limbs& limbs);
  static int Compare(const Limbs& a, const Limbs& b);
  static Limbs Sum(const Limbs& a, const Limbs& b);
  static Limbs Difference(const Limbs& larger, const Limbs& smaller);
  static Limbs Product(const Limbs& a, const Limbs& b, Work& work);

  bool negative_ = false;
  Limbs numerator_;
  Limbs denominator_ = {1};
};

Rational Add(const Rational& a, const Rational& b, Work& work);
Rational Multiply(const Rational& a, const Rational& b, Work& work);
Rational Divide(const Rational& a, const Rational& b, Work& work);
Rational Power(const Rational& a, int64_t exponent, Work& work);
bool Equal(const Rational& a, const Rational& b, Work& work);

}  // namespace attnrl::verifier
