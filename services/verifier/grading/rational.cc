// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/rational.h"

#include <algorithm>
#include <string>
#include <utility>

namespace attnrl::verifier {
namespace {

constexpr uint32_t kBase = 1'000'000'000;
constexpr size_t kDigitsPerLimb = 9;

}  // namespace

void Rational::Trim(Limbs& limbs) {
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
}

int Rational::Compare(const Limbs& a, const Limbs& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  for (size_t i = a.size(); i-- > 0;) {
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

Rational::Limbs Rational::Sum(const Limbs& a, const Limbs& b) {
  Limbs sum;
  sum.reserve(std::max(a.size(), b.size()) + 1);
  uint32_t carry = 0;
  for (size_t i = 0; i < std::max(a.size(), b.size()) || carry != 0; ++i) {
    uint32_t limb = carry + (i < a.size() ? a[i] : 0) + (i < b.size() ? b[i] : 0);
    carry = limb >= kBase ? 1 : 0;
    sum.push_back(limb - carry * kBase);
  }
  return sum;
}

Rational::Limbs Rational::Difference(const Limbs& larger, const Limbs& smaller) {
  Limbs difference = larger;
  uint32_t borrow = 0;
  for (size_t i = 0; i < difference.size(); ++i) {
    uint32_t take = borrow + (i < smaller.size() ? smaller[i] : 0);
    borrow = difference[i] < take ? 1 : 0;
    difference[i] = difference[i] + borrow * kBase - take;
  }
  Trim(difference);
  return difference;
}

Rational::Limbs Rational::Product(const Limbs& a, const Limbs& b, Work& work) {
  if (a.empty() || b.empty()) return {};
  if (!work.Spend(static_cast<int64_t>(a.size()) * static_cast<int64_t>(b.size()))) return {};
  Limbs product(a.size() + b.size(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b.size() || carry != 0; ++j) {
      uint64_t factor = j < b.size() ? b[j] : 0;
      uint64_t limb = product[i + j] + carry + static_cast<uint64_t>(a[i]) * factor;
      carry = limb / kBase;
      product[i + j] = static_cast<uint32_t>(limb % kBase);
    }
  }
  Trim(product);
  return product;
}

Rational Rational::FromDecimal(std::string_view digits, Work& work) {
  Rational result;
  if (!work.Spend(static_cast<int64_t>(digits.size()))) return result;
  std::string number(digits);
  size_t decimals = 0;
  if (size_t point = number.find('.'); point != std::string::npos) {
    decimals = number.size() - point - 1;
    number.erase(point, 1);
  }
  for (size_t end = number.size(); end > 0;) {
    size_t begin = end > kDigitsPerLimb ? end - kDigitsPerLimb : 0;
    uint32_t limb = 0;
    for (size_t i = begin; i < end; ++i) limb = limb * 10 + static_cast<uint32_t>(number[i] - '0');
    result.numerator_.push_back(limb);
    end = begin;
  }
  Trim(result.numerator_);
  result.denominator_.assign(decimals / kDigitsPerLimb + 1, 0);
  uint32_t top = 1;
  for (size_t i = 0; i < decimals % kDigitsPerLimb; ++i) top *= 10;
  result.denominator_.back() = top;
  return result;
}

Rational Add(const Rational& a, const Rational& b, Work& work) {
  Rational sum;
  Rational::Limbs left = a.numerator_;
  Rational::Limbs right = b.numerator_;
  // Long sums over one denominator stay small this way, without a common divisor.
  if (a.denominator_ == b.denominator_) {
    sum.denominator_ = a.denominator_;
  } else {
    left = Rational::Product(a.numerator_, b.denominator_, work);
    right = Rational::Product(b.numerator_, a.denominator_, work);
    sum.denominator_ = Rational::Product(a.denominator_, b.denominator_, work);
  }
  if (!work.Spend(static_cast<int64_t>(left.size() + right.size() + 1))) return Rational();
  if (a.negative_ == b.negative_) {
    sum.numerator_ = Rational::Sum(left, right);
    sum.negative_ = a.negative_ && !sum.IsZero();
    return sum;
  }
  bool left_larger = Rational::Compare(left, right) >= 0;
  sum.numerator_ =
      left_larger ? Rational::Difference(left, right) : Rational::Difference(right, left);
  sum.negative_ = (left_larger ? a.negative_ : b.negative_) && !sum.IsZero();
  return sum;
}

Rational Multiply(const Rational& a, const Rational& b, Work& work) {
  Rational product;
  product.numerator_ = Rational::Product(a.numerator_, b.numerator_, work);
  product.denominator_ = Rational::Product(a.denominator_, b.denominator_, work);
  if (work.exhausted()) return Rational();
  product.negative_ = a.negative_ != b.negative_ && !product.IsZero();
  return product;
}

Rational Divide(const Rational& a, const Rational& b, Work& work) {
  Rational inverse = b;
  std::swap(inverse.numerator_, inverse.denominator_);
  return Multiply(a, inverse, work);
}

Rational Power(const Rational& a, int64_t exponent, Work& work) {
  Rational square = a;
  if (exponent < 0) std::swap(square.numerator_, square.denominator_);
  uint64_t left = exponent < 0 ? static_cast<uint64_t>(-exponent) : static_cast<uint64_t>(exponent);
  Rational result = Rational::FromDecimal("1", work);
  for (; left > 0 && !work.exhausted(); left /= 2) {
    if (left % 2 == 1) result = Multiply(result, square, work);
    if (left > 1) square = Multiply(square, square, work);
  }
  return result;
}

bool Equal(const Rational& a, const Rational& b, Work& work) {
  if (a.negative_ != b.negative_) return false;
  if (a.denominator_ == b.denominator_) return !work.exhausted() && a.numerator_ == b.numerator_;
  Rational::Limbs left = Rational::Product(a.numerator_, b.denominator_, work);
  Rational::Limbs right = Rational::Product(b.numerator_, a.denominator_, work);
  return !work.exhausted() && left == right;
}

bool Rational::ToInteger(int64_t limit, int64_t* value, Work& work) const {
  // By bisection, as nothing else needs a division of limbs.
  int64_t low = 0;
  int64_t high = limit;
  while (low <= high) {
    int64_t middle = low + (high - low) / 2;
    Limbs factor;
    for (int64_t m = middle; m > 0; m /= kBase) factor.push_back(static_cast<uint32_t>(m % kBase));
    Limbs candidate = Product(factor, denominator_, work);
    if (work.exhausted()) return false;
    int order = Compare(candidate, numerator_);
    if (order == 0) {
      *value = negative_ ? -middle : middle;
      return true;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return false;
}

}  // namespace attnrl::verifier
