// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/expression/exact.h"

#include <flint/fmpz.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

namespace attnrl::verifier {
namespace {

// Bits of a number that is still worked with: 60,000 digits and more.
constexpr int64_t kMaxBits = int64_t{1} << 21;
constexpr int64_t kMaxFactorial = 20'000;

// What one operation on integers of so many bits costs in steps of work.
bool Pay(int64_t bits, Work& work) {
  const int64_t limbs = bits / 64 + 1;
  return work.Spend(limbs + (limbs > 64 ? limbs * 4 : 0));
}

// One on fractions, which are reduced: a common divisor costs much more than a product.
bool PayFor(const Rational& a, const Rational& b, Work& work) {
  const int64_t bits = a.Bits() + b.Bits();
  if (a.IsInteger() && b.IsInteger()) return Pay(bits, work);
  const int64_t limbs = bits / 64 + 1;
  return work.Spend(limbs * 8 + (limbs > 64 ? limbs * 80 : 0));
}

class Exact {
 public:
  explicit Exact(Work& work) : work_(work) {}

  std::optional<Rational> Value(const Expression& node) {
    if (!work_.Spend(1)) return std::nullopt;
    switch (node.kind) {
      case Kind::kNumber:
        return node.number;
      case Kind::kSum:
      case Kind::kProduct:
        return Fold(node);
      case Kind::kPower:
        return Power(node);
      case Kind::kFunction:
        return Function(node);
      case Kind::kBased:
        return InBase(node);
      default:
        return std::nullopt;
    }
  }

 private:
  // The value of digits in a base from 2 to 36.
  std::optional<Rational> InBase(const Expression& node) {
    const Expression& digits = node.arguments[0];
    int64_t base = 0;
    for (const char c : node.name) {
      if (c < '0' || c > '9' || base > 36) return std::nullopt;
      base = base * 10 + (c - '0');
    }
    if (!digits.number.IsInteger() || base < 2 || base > 36 ||
        !Pay(digits.number.Bits() * 64, work_)) {
      return std::nullopt;
    }
    char* text = fmpz_get_str(nullptr, 10, fmpq_numref(digits.number.get()));
    Rational value;
    const bool valid = fmpz_set_str(fmpq_numref(value.get()), text, static_cast<int>(base)) == 0;
    flint_free(text);
    if (!valid) return std::nullopt;
    return value;
  }

  std::optional<Rational> Fold(const Expression& node) {
    const bool sum = node.kind == Kind::kSum;
    Rational result(sum ? 0 : 1);
    for (const Expression& argument : node.arguments) {
      const std::optional<Rational> value = Value(argument);
      if (!value || !PayFor(result, *value, work_)) return std::nullopt;
      result = sum ? result + *value : result * *value;
      if (result.Bits() > kMaxBits) return std::nullopt;
    }
    return result;
  }

  std::optional<Rational> Power(const Expression& node) {
    const std::optional<Rational> base = Value(node.arguments[0]);
    if (!base) return std::nullopt;
    const std::optional<Rational> exponent = Value(node.arguments[1]);
    if (!exponent) return std::nullopt;
    if (fmpz_cmp_ui(fmpq_denref(exponent->get()), 1) != 0) return Root(*base, *exponent);
    int64_t power = 0;
    if (!exponent->ToInteger(kMaxBits, &power)) return std::nullopt;
    if (base->IsZero()) {
      if (power <= 0) return std::nullopt;
      return Rational();
    }
    return Raise(*base, power);
  }

  std::optional<Rational> Raise(const Rational& base, int64_t power) {
    const int64_t bits = base.Bits() * std::abs(power);
    if (bits > kMaxBits || !Pay(2 * bits, work_)) return std::nullopt;
    return Rational::Power(base, power);
  }

  // The root of a perfect power, as (4/9)^(1/2); odd roots of negative numbers are real.
  std::optional<Rational> Root(const Rational& base, const Rational& exponent) {
    int64_t degree = 0;
    int64_t power = 0;
    const Rational inverse = Rational::Power(exponent, -1);
    Rational above;
    fmpz_set(fmpq_numref(above.get()), fmpq_numref(exponent.get()));
    Rational below;
    fmpz_set(fmpq_numref(below.get()), fmpq_denref(exponent.get()));
    if (!below.ToInteger(64, &degree) || !above.ToInteger(kMaxBits, &power)) return std::nullopt;
    const bool negative = base.IsNegative();
    if ((negative && degree % 2 == 0) || (base.IsZero() && power <= 0)) return std::nullopt;
    if (!Pay(base.Bits() * 8, work_)) return std::nullopt;
    Rational root = negative ? Rational() - base : base;
    if (!fmpz_root(fmpq_numref(root.get()), fmpq_numref(root.get()), degree) ||
        !fmpz_root(fmpq_denref(root.get()), fmpq_denref(root.get()), degree)) {
      return std::nullopt;
    }
    if (negative) root = Rational() - root;
    if (root.IsZero()) return root;
    return Raise(root, power);
  }

  std::optional<Rational> Function(const Expression& node) {
    std::vector<Rational> values;
    for (const Expression& argument : node.arguments) {
      std::optional<Rational> value = Value(argument);
      if (!value) return std::nullopt;
      values.push_back(*std::move(value));
    }
    const std::string& name = node.name;
    if (name == "!") return Factorial(values[0]);
    if (name == "\\abs") return values[0].IsNegative() ? Rational() - values[0] : values[0];
    if (name == "\\floor" || name == "\\ceil") return Rounded(values[0], name == "\\ceil");
    if (name == "\\ratio") {
      if (values[1].IsZero() || !Pay(values[0].Bits() + values[1].Bits(), work_)) {
        return std::nullopt;
      }
      return values[0] / values[1];
    }
    if (name == "\\binom") return Binomial(values[0], values[1]);
    if (name == "\\max") return *std::max_element(values.begin(), values.end());
    if (name == "\\min") return *std::min_element(values.begin(), values.end());
    if (name == "\\gcd" || name == "\\lcm") return Common(values, name == "\\lcm");
    return std::nullopt;
  }

  std::optional<Rational> Factorial(const Rational& value) {
    int64_t n = 0;
    if (!value.ToInteger(kMaxFactorial, &n) || n < 0 || !Pay(n * 16, work_)) return std::nullopt;
    Rational result;
    fmpz_fac_ui(fmpq_numref(result.get()), static_cast<uint64_t>(n));
    return result;
  }

  std::optional<Rational> Binomial(const Rational& above, const Rational& below) {
    int64_t n = 0;
    int64_t k = 0;
    if (!above.ToInteger(kMaxFactorial, &n) || !below.ToInteger(kMaxFactorial, &k) || n < 0 ||
        k < 0 || !Pay(n * 16, work_)) {
      return std::nullopt;
    }
    Rational result;
    fmpz_bin_uiui(fmpq_numref(result.get()), static_cast<uint64_t>(n), static_cast<uint64_t>(k));
    return result;
  }

  std::optional<Rational> Rounded(const Rational& value, bool up) {
    if (!Pay(value.Bits() * 2, work_)) return std::nullopt;
    Rational result;
    if (up) {
      fmpz_cdiv_q(fmpq_numref(result.get()), fmpq_numref(value.get()), fmpq_denref(value.get()));
    } else {
      fmpz_fdiv_q(fmpq_numref(result.get()), fmpq_numref(value.get()), fmpq_denref(value.get()));
    }
    return result;
  }

  std::optional<Rational> Common(const std::vector<Rational>& values, bool multiple) {
    Rational result(multiple ? 1 : 0);
    for (const Rational& value : values) {
      if (!value.IsInteger() || !Pay((value.Bits() + result.Bits()) * 8, work_)) {
        return std::nullopt;
      }
      if (multiple) {
        fmpz_lcm(fmpq_numref(result.get()), fmpq_numref(result.get()), fmpq_numref(value.get()));
      } else {
        fmpz_gcd(fmpq_numref(result.get()), fmpq_numref(result.get()), fmpq_numref(value.get()));
      }
      if (result.Bits() > kMaxBits) return std::nullopt;
    }
    return result;
  }

  Work& work_;
};

}  // namespace

std::optional<Rational> ExactValue(const Expression& expression, Work& work) {
  return Exact(work).Value(expression);
}

std::optional<Decimal> AsDecimal(const Expression& expression) {
  constexpr int64_t kMaxDecimals = 100'000;
  if (expression.kind == Kind::kNumber) {
    if (expression.decimals < 0 || expression.decimals > kMaxDecimals) return std::nullopt;
    return Decimal{expression.number, Rational::Power(Rational(10), -expression.decimals),
                   expression.significant};
  }
  // -8.24, 4.46 * 10^19
  if (expression.kind != Kind::kProduct || expression.arguments.size() != 2) return std::nullopt;
  const Expression& first = expression.arguments[0];
  const Expression& power = expression.arguments[1];
  int64_t exponent = 0;
  if (first.kind != Kind::kNumber || first.decimals < 0 || first.decimals > kMaxDecimals ||
      power.kind != Kind::kPower || power.arguments[0].kind != Kind::kNumber ||
      !(power.arguments[0].number == Rational(10)) || power.arguments[1].kind != Kind::kNumber ||
      !power.arguments[1].number.ToInteger(kMaxDecimals, &exponent)) {
    return std::nullopt;
  }
  const Rational scale = Rational::Power(Rational(10), exponent);
  return Decimal{first.number * scale, Rational::Power(Rational(10), -first.decimals) * scale,
                 first.significant};
}

}  // namespace attnrl::verifier
