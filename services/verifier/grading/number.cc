// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/number.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace attnrl::verifier {
namespace {

// Larger powers cost more than any budget of work.
constexpr int64_t kMaxExponent = 1'000'000;

// Recursive descent; nullopt everywhere means: not a number.
class Evaluator {
 public:
  Evaluator(std::span<const Token> tokens, int depth, Work& work)
      : tokens_(tokens), depth_(depth), work_(work) {}

  std::optional<Rational> All() {
    std::optional<Rational> value = Sum();
    return at_ == tokens_.size() && !work_.exhausted() ? value : std::nullopt;
  }

 private:
  bool Is(std::string_view text, size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() && tokens_[at_ + ahead].text == text;
  }
  bool IsDigits(size_t ahead) const {
    return at_ + ahead < tokens_.size() && IsNumber(tokens_[at_ + ahead]) &&
           tokens_[at_ + ahead].text.find('.') == std::string::npos;
  }
  bool Take(std::string_view text) {
    bool found = Is(text) && work_.Spend(1);
    if (found) ++at_;
    return found;
  }

  std::optional<Rational> Sum() {
    std::optional<Rational> sum = Product();
    while (sum && (Is("+") || Is("-"))) {
      bool minus = Is("-");
      ++at_;
      std::optional<Rational> term = Product();
      if (!term) return std::nullopt;
      if (minus) term->Negate();
      sum = Add(*sum, *term, work_);
    }
    return sum;
  }

  std::optional<Rational> Product() {
    std::optional<Rational> product = Signed();
    bool divided = false;
    while (product && !work_.exhausted()) {
      if (Take("*")) {
        std::optional<Rational> factor = Signed();
        if (!factor) return std::nullopt;
        product = Multiply(*product, *factor, work_);
      } else if (Take("/")) {
        std::optional<Rational> divisor = Signed();
        if (!divisor || divisor->IsZero()) return std::nullopt;
        product = Divide(*product, *divisor, work_);
        divided = true;
      } else if (Is("(") && !divided) {  // 1/2(3) has two readings
        std::optional<Rational> factor = Powered();
        if (!factor) return std::nullopt;
        product = Multiply(*product, *factor, work_);
      } else {
        break;
      }
    }
    return product;
  }

  std::optional<Rational> Signed() {
    bool minus = false;
    while (Is("+") || Is("-")) {
      if (Take("-")) minus = !minus;
      if (!Take("+") && work_.exhausted()) return std::nullopt;
    }
    std::optional<Rational> value = Powered();
    if (value && minus) value->Negate();
    return value;
  }

  std::optional<Rational> Powered() {
    std::optional<Rational> value = Primary();
    if (value && Take("^")) {
      std::optional<Rational> exponent = Enclosed("{", "}");
      int64_t integer = 0;
      if (!exponent || !exponent->ToInteger(kMaxExponent, &integer, work_)) return std::nullopt;
      if (value->IsZero() && integer <= 0) return std::nullopt;
      value = Power(*value, integer, work_);
    }
    if (value && Take("%")) value = Divide(*value, Rational::FromDecimal("100", work_), work_);
    return value;
  }

  std::optional<Rational> Enclosed(std::string_view open, std::string_view close) {
    if (!Take(open)) return std::nullopt;
    if (depth_ == 0) {
      work_.Exhaust();
      return std::nullopt;
    }
    --depth_;
    std::optional<Rational> value = Sum();
    ++depth_;
    return Take(close) ? value : std::nullopt;
  }

  std::optional<Rational> Fraction() {
    if (!Take("\\frac")) return std::nullopt;
    std::optional<Rational> numerator = Enclosed("{", "}");
    if (!numerator) return std::nullopt;
    std::optional<Rational> denominator = Enclosed("{", "}");
    if (!denominator || denominator->IsZero()) return std::nullopt;
    return Divide(*numerator, *denominator, work_);
  }

  std::optional<Rational> Primary() {
    if (Is("\\frac")) return Fraction();
    if (Is("(")) return Enclosed("(", ")");
    if (at_ == tokens_.size() || !IsNumber(tokens_[at_]) || !work_.Spend(1)) return std::nullopt;
    bool whole = IsDigits(0);
    Rational value = Rational::FromDecimal(tokens_[at_++].text, work_);
    if (!whole) return value;
    // Mixed numbers: a whole number directly before a fraction of two whole numbers.
    if (Is("\\frac") && IsDigits(2) && Is("}", 3) && IsDigits(5) && Is("}", 6)) {
      std::optional<Rational> fraction = Fraction();
      if (!fraction) return std::nullopt;
      return Add(value, *fraction, work_);
    }
    if (IsDigits(0) && tokens_[at_].spaced && Is("/", 1) && IsDigits(2)) {
      Rational numerator = Rational::FromDecimal(tokens_[at_].text, work_);
      Rational denominator = Rational::FromDecimal(tokens_[at_ + 2].text, work_);
      at_ += 3;
      if (denominator.IsZero()) return std::nullopt;
      return Add(value, Divide(numerator, denominator, work_), work_);
    }
    return value;
  }

  const std::span<const Token> tokens_;
  int depth_;
  Work& work_;
  size_t at_ = 0;
};

}  // namespace

std::optional<Rational> EvaluateNumber(std::span<const Token> tokens, int depth, Work& work) {
  return Evaluator(tokens, depth, work).All();
}

}  // namespace attnrl::verifier
