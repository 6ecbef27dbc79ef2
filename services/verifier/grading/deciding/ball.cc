// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/deciding/ball.h"

#include <acb_hypgeom.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace attnrl::verifier {
namespace {

// Of an exponent's magnitude in bits: beyond, values are too large to say anything about.
constexpr int64_t kMaxExponentBits = 24;
constexpr int64_t kTranscendental = 40;  // as many additions
constexpr int64_t kSquareRoot = 12;
// Its cost and memory grow with a higher power of the precision than those of all others.
constexpr int64_t kMaxGammaPrecision = 3000;

using Unary = void (*)(acb_t, const acb_t, slong);
struct NamedFunction {
  const char* name;
  Unary function;
};
constexpr NamedFunction kUnary[] = {
    {"\\sin", acb_sin},     {"\\cos", acb_cos}, {"\\tan", acb_tan},     {"\\cot", acb_cot},
    {"\\sec", acb_sec},     {"\\csc", acb_csc}, {"\\sinh", acb_sinh},   {"\\cosh", acb_cosh},
    {"\\tanh", acb_tanh},   {"\\ln", acb_log},  {"\\arcsin", acb_asin}, {"\\arccos", acb_acos},
    {"\\arctan", acb_atan},
};

bool IsStep(const std::string& name) {
  return name == "\\floor" || name == "\\ceil" || name == "\\max" || name == "\\min" ||
         name == "\\gcd" || name == "\\lcm";
}

// FNV-1a, then mixed: the same on every machine.
uint64_t Hash(const std::string& name, uint64_t seed) {
  uint64_t hash = 14695981039346656037u ^ (seed * 0x9E3779B97F4A7C15u);
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  hash ^= hash >> 33;
  hash *= 0xFF51AFD7ED558CCDu;
  hash ^= hash >> 33;
  return hash;
}

}  // namespace

bool IsConstant(const Expression& node) {
  if (node.kind == Kind::kCall) return false;
  if (node.kind == Kind::kSymbol && node.name != "\\pi" && node.name != "e" && node.name != "i") {
    return false;
  }
  return std::all_of(node.arguments.begin(), node.arguments.end(), IsConstant);
}

bool BallEvaluator::Pay(int64_t steps) {
  const int64_t words = precision_ / 64;
  return work_.Spend(steps * (1 + words / 2 + words * words / 64));
}

bool BallEvaluator::Note(const Ball& value) {
  if (!acb_is_finite(value.get())) return false;
  for (const arb_srcptr part : {acb_realref(value.get()), acb_imagref(value.get())}) {
    // Noise around zero has no magnitude of its own.
    if (arb_contains_zero(part)) continue;
    const fmpz* exponent = ARF_EXPREF(arb_midref(part));
    if (fmpz_bits(exponent) > 40) {
      work_.Exhaust();
      return false;
    }
    magnitude_ = std::max<int64_t>(magnitude_, std::abs(fmpz_get_si(exponent)));
  }
  return true;
}

// \tanh x is 1 but for e^{-2x}, as \tan and \cot are i but for that of an imaginary x: a difference
// that no value shows.
void BallEvaluator::NoteSaturation(const std::string& function, const Ball& x) {
  const bool circular = function == "\\tan" || function == "\\cot";
  if (!circular && function != "\\tanh") return;
  mag_t bound;
  mag_init(bound);
  arb_get_mag(bound, circular ? acb_imagref(x.get()) : acb_realref(x.get()));
  constexpr double kBits = 3;  // 2 / ln 2 = 2.9 of each unit
  magnitude_ = std::max(magnitude_, static_cast<int64_t>(kBits * mag_get_d(bound)));
  mag_clear(bound);
}

bool BallEvaluator::Evaluate(const Expression& node, Ball& out) {
  if (!Pay(1)) return false;
  switch (node.kind) {
    case Kind::kNumber:
      if (!Pay(node.number.Bits() / 64)) return false;
      // A long numerator hides a small difference as well as a small number does.
      magnitude_ = std::max<int64_t>(
          magnitude_, static_cast<int64_t>(fmpz_bits(fmpq_denref(node.number.get()))));
      acb_set_fmpq(out.get(), node.number.get(), precision_);
      return Note(out);
    case Kind::kSymbol:
      return Symbol(node.name, out) && Note(out);
    case Kind::kSum:
    case Kind::kProduct:
      return Fold(node, out) && Note(out);
    case Kind::kPower:
      return Power(node, out) && Note(out);
    case Kind::kFunction:
      return Function(node, out) && Note(out);
    case Kind::kCall:
      return Call(node, out) && Note(out);
    case Kind::kQuantity: {
      if (node.name != "deg" && node.name != "%" && node.name != "rad") return false;
      if (!Evaluate(node.arguments[0], out)) return false;
      if (node.name == "rad") return true;
      if (node.name == "deg") {
        Ball pi;
        acb_const_pi(pi.get(), precision_);
        acb_mul(out.get(), out.get(), pi.get(), precision_);
      }
      acb_div_ui(out.get(), out.get(), node.name == "deg" ? 180 : 100, precision_);
      return true;
    }
    default:
      return false;
  }
}

bool BallEvaluator::Fold(const Expression& node, Ball& out) {
  const bool sum = node.kind == Kind::kSum;
  Ball total;
  if (!sum) acb_one(total.get());
  for (const Expression& argument : node.arguments) {
    Ball value;
    if (!Evaluate(argument, value)) return false;
    if (sum) {
      acb_add(total.get(), total.get(), value.get(), precision_);
    } else {
      acb_mul(total.get(), total.get(), value.get(), precision_);
    }
  }
  acb_swap(out.get(), total.get());
  return true;
}

bool BallEvaluator::Power(const Expression& node, Ball& out) {
  const Expression& base = node.arguments[0];
  const Expression& exponent = node.arguments[1];
  Ball x;
  if (!Evaluate(base, x)) return false;
  if (exponent.kind == Kind::kNumber && exponent.number.IsInteger()) {
    // Beyond, the value would have millions of digits in front of the point.
    if (fmpz_bits(fmpq_numref(exponent.number.get())) > kMaxExponentBits) {
      work_.Exhaust();
      return false;
    }
    if (fmpq_sgn(exponent.number.get()) <= 0 && acb_contains_zero(x.get())) return false;
    if (!Pay(64)) return false;
    acb_pow_fmpz(out.get(), x.get(), fmpq_numref(exponent.number.get()), precision_);
    return true;
  }
  const bool is_square_root =
      exponent.kind == Kind::kNumber && fmpz_cmp_ui(fmpq_denref(exponent.number.get()), 2) == 0;
  if (!Pay(is_square_root ? kSquareRoot : kTranscendental * 2)) return false;
  if (exponent.kind == Kind::kNumber) {
    const fmpq* power = exponent.number.get();
    const bool odd = fmpz_is_odd(fmpq_denref(power));
    if (fmpz_bits(fmpq_numref(power)) > kMaxExponentBits ||
        fmpz_bits(fmpq_denref(power)) > kMaxExponentBits) {
      work_.Exhaust();
      return false;
    }
    if (fmpq_sgn(power) < 0 && acb_contains_zero(x.get())) return false;
    // The real root of a negative number.
    const bool negative = odd && acb_is_real(x.get()) && arb_is_negative(acb_realref(x.get()));
    if (negative) acb_neg(x.get(), x.get());
    if (is_square_root) {
      acb_sqrt(x.get(), x.get(), precision_);
      acb_pow_fmpz(out.get(), x.get(), fmpq_numref(power), precision_);
    } else {
      Ball fraction;
      acb_set_fmpq(fraction.get(), power, precision_);
      acb_pow(out.get(), x.get(), fraction.get(), precision_);
    }
    if (negative && fmpz_is_odd(fmpq_numref(power))) acb_neg(out.get(), out.get());
    return true;
  }
  Ball y;
  if (!Evaluate(exponent, y)) return false;
  if (acb_contains_zero(x.get())) return false;
  mag_t bound;
  mag_init(bound);
  acb_get_mag(bound, y.get());
  const bool huge = mag_cmp_2exp_si(bound, kMaxExponentBits) > 0;
  mag_clear(bound);
  if (huge) {
    work_.Exhaust();
    return false;
  }
  if (base.kind == Kind::kSymbol && base.name == "e") {
    acb_exp(out.get(), y.get(), precision_);
  } else {
    acb_pow(out.get(), x.get(), y.get(), precision_);
  }
  return true;
}

bool BallEvaluator::Function(const Expression& node, Ball& out) {
  if (!Pay(kTranscendental)) return false;
  // Steps of variables say little about the few points: \lfloor x/100 \rfloor is 0 at all of them.
  if (IsStep(node.name)) {
    if (!work_.Spend(Size(node))) return false;
    if (!IsConstant(node)) return Call(node, out);
  }
  if (node.name.starts_with("\\sum") || node.name.starts_with("\\prod")) return Call(node, out);
  Ball x;
  if (node.arguments.empty() || !Evaluate(node.arguments[0], x)) return false;
  for (const NamedFunction& named : kUnary) {
    if (node.name != named.name) continue;
    mag_t bound;
    mag_init(bound);
    acb_get_mag(bound, x.get());
    const bool huge = node.name != "\\ln" && mag_cmp_2exp_si(bound, kMaxExponentBits) > 0;
    mag_clear(bound);
    if (huge) {
      work_.Exhaust();
      return false;
    }
    NoteSaturation(node.name, x);
    named.function(out.get(), x.get(), precision_);
    return true;
  }
  if (node.name == "\\abs") {
    arb_t modulus;
    arb_init(modulus);
    acb_abs(modulus, x.get(), precision_);
    acb_set_arb(out.get(), modulus);
    arb_clear(modulus);
    return true;
  }
  if (node.name == "\\floor" || node.name == "\\ceil") {
    // Of a ball around an integer neither is known.
    if (!acb_is_real(x.get())) return false;
    if (node.name == "\\ceil") acb_neg(x.get(), x.get());
    arb_floor(acb_realref(out.get()), acb_realref(x.get()), precision_);
    arb_zero(acb_imagref(out.get()));
    if (!arb_is_exact(acb_realref(out.get()))) return false;
    if (node.name == "\\ceil") acb_neg(out.get(), out.get());
    return true;
  }
  if (node.arguments.size() == 1 && node.name == "!") {
    mag_t bound;
    mag_init(bound);
    acb_get_mag(bound, x.get());
    const bool huge = mag_cmp_2exp_si(bound, 20) > 0;
    mag_clear(bound);
    if (huge || precision_ > kMaxGammaPrecision) work_.Exhaust();
    if (!Pay(kTranscendental * 20)) return false;
    acb_add_ui(x.get(), x.get(), 1, precision_);
    acb_gamma(out.get(), x.get(), precision_);
    return true;
  }
  if (node.arguments.size() != 2) return false;
  Ball y;
  if (!Evaluate(node.arguments[1], y)) return false;
  if (node.name == "\\ratio") {
    acb_div(out.get(), x.get(), y.get(), precision_);
    return true;
  }
  if (node.name == "\\log") {
    acb_log(x.get(), x.get(), precision_);
    acb_log(y.get(), y.get(), precision_);
    acb_div(out.get(), x.get(), y.get(), precision_);
    return true;
  }
  if (node.name == "\\binom") {
    if (precision_ > kMaxGammaPrecision) work_.Exhaust();
    if (!Pay(kTranscendental * 60)) return false;
    // n! / (k! (n-k)!)
    Ball difference;
    acb_sub(difference.get(), x.get(), y.get(), precision_);
    for (Ball* each : {&x, &y, &difference}) {
      acb_add_ui(each->get(), each->get(), 1, precision_);
      if (each == &x) {
        acb_gamma(each->get(), each->get(), precision_);
      } else {
        acb_rgamma(each->get(), each->get(), precision_);
      }
    }
    acb_mul(out.get(), x.get(), y.get(), precision_);
    acb_mul(out.get(), out.get(), difference.get(), precision_);
    return true;
  }
  return false;
}

// An unknown function, with coefficients from its name. Neither a polynomial, whose high
// differences vanish, nor a sum over its arguments: s^2 + 1 / (s + c) of a sum plus a product of
// them.
bool BallEvaluator::Call(const Expression& node, Ball& out) {
  Ball sum;
  Ball product;
  Ball coefficient;
  acb_one(product.get());
  int index = 0;
  for (const Expression& argument : node.arguments) {
    Ball x;
    if (!Evaluate(argument, x)) return false;
    Chosen(node.name, index++, coefficient);
    acb_addmul(sum.get(), x.get(), coefficient.get(), precision_);
    Chosen(node.name, index++, coefficient);
    acb_add(x.get(), x.get(), coefficient.get(), precision_);
    acb_mul(product.get(), product.get(), x.get(), precision_);
  }
  acb_add(sum.get(), sum.get(), product.get(), precision_);
  Chosen(node.name, index, coefficient);
  acb_add(coefficient.get(), coefficient.get(), sum.get(), precision_);
  if (acb_contains_zero(coefficient.get())) return false;
  acb_inv(out.get(), coefficient.get(), precision_);
  acb_addmul(out.get(), sum.get(), sum.get(), precision_);
  return true;
}

bool BallEvaluator::Symbol(const std::string& name, Ball& out) {
  if (name == "\\infty" || name == "\\emptyset") return false;
  if (name == "\\pi") {
    acb_const_pi(out.get(), precision_);
  } else if (name == "e") {
    arb_const_e(acb_realref(out.get()), precision_);
    arb_zero(acb_imagref(out.get()));
  } else if (name == "i") {
    acb_onei(out.get());
  } else {
    Chosen(name, 0, out);
    if (IsNegativeHere(name)) acb_neg(out.get(), out.get());
    if (scale_ != 1) {
      Ball scale;
      acb_set_d(scale.get(), scale_);
      acb_mul(out.get(), out.get(), scale.get(), precision_);
    }
  }
  return true;
}

bool BallEvaluator::IsNegativeHere(const std::string& name) const {
  if (point_ % 2 == 0) return false;
  if (point_ == 1) return true;
  const auto found = std::lower_bound(variables_.begin(), variables_.end(), name);
  const auto place = static_cast<size_t>(found - variables_.begin());
  constexpr unsigned kSigns[] = {1, 2, 4, 3, 5, 6, 7};
  return (kSigns[place % std::size(kSigns)] >> (point_ / 2 - 1) & 1) != 0;
}

void BallEvaluator::Chosen(const std::string& name, int index, Ball& out) const {
  const uint64_t seed = static_cast<uint64_t>(point_) * 64 + static_cast<uint64_t>(index);
  acb_set_ui(out.get(), (Hash(name, seed) >> 16) * 3);
  acb_mul_2exp_si(out.get(), out.get(), -48);
  Ball quarter;
  acb_one(quarter.get());
  acb_mul_2exp_si(quarter.get(), quarter.get(), -2);
  acb_add(out.get(), out.get(), quarter.get(), precision_);
}

}  // namespace attnrl::verifier
