// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <flint/fmpq.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace attnrl::verifier {

// An exact fraction of integers of any size, always reduced: FLINT's fmpq as a value. Whoever makes
// one bounds its size before (deciding/exact.h); nothing here is counted.
class Rational {
 public:
  Rational() { fmpq_init(value_); }
  // numerator / denominator, which is not 0.
  explicit Rational(int64_t numerator, uint64_t denominator = 1) : Rational() {
    fmpq_set_si(value_, numerator, denominator);
  }
  Rational(const Rational& other) : Rational() { fmpq_set(value_, other.value_); }
  Rational(Rational&& other) noexcept : Rational() { fmpq_swap(value_, other.value_); }
  Rational& operator=(Rational other) noexcept {
    fmpq_swap(value_, other.value_);
    return *this;
  }
  ~Rational() { fmpq_clear(value_); }

  // Digits with at most one point among or around them, at least one digit: "007", ".50", "3.".
  static Rational FromDecimal(std::string_view digits);

  fmpq* get() { return value_; }
  const fmpq* get() const { return value_; }

  bool IsZero() const { return fmpq_is_zero(value_); }
  bool IsInteger() const { return fmpz_is_one(fmpq_denref(value_)); }
  bool IsNegative() const { return fmpq_sgn(value_) < 0; }
  // Bits of the numerator and the denominator together.
  int64_t Bits() const {
    return static_cast<int64_t>(fmpz_bits(fmpq_numref(value_)) + fmpz_bits(fmpq_denref(value_)));
  }
  // The value as an integer; false where it is none, or not between -limit and limit.
  bool ToInteger(int64_t limit, int64_t* value) const;
  // "7", "-3/4"; a long one is cut in the middle.
  std::string Text() const;

  friend bool operator==(const Rational& a, const Rational& b) {
    return fmpq_equal(a.value_, b.value_);
  }
  friend bool operator<(const Rational& a, const Rational& b) {
    return fmpq_cmp(a.value_, b.value_) < 0;
  }
  friend Rational operator+(const Rational& a, const Rational& b) {
    Rational sum;
    fmpq_add(sum.value_, a.value_, b.value_);
    return sum;
  }
  friend Rational operator-(const Rational& a, const Rational& b) {
    Rational difference;
    fmpq_sub(difference.value_, a.value_, b.value_);
    return difference;
  }
  friend Rational operator*(const Rational& a, const Rational& b) {
    Rational product;
    fmpq_mul(product.value_, a.value_, b.value_);
    return product;
  }
  // b is not 0.
  friend Rational operator/(const Rational& a, const Rational& b) {
    Rational quotient;
    fmpq_div(quotient.value_, a.value_, b.value_);
    return quotient;
  }
  // base is not 0 where exponent < 0.
  static Rational Power(const Rational& base, int64_t exponent) {
    Rational power;
    fmpq_pow_si(power.value_, base.value_, exponent);
    return power;
  }

 private:
  fmpq_t value_;
};

}  // namespace attnrl::verifier
