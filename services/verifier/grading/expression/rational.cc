// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/expression/rational.h"

#include <flint/fmpz.h>

namespace attnrl::verifier {

Rational Rational::FromDecimal(std::string_view digits) {
  std::string whole;
  whole.reserve(digits.size());
  uint64_t decimals = 0;
  bool point = false;
  for (const char c : digits) {
    if (c == '.') {
      point = true;
    } else {
      whole += c;
      decimals += point ? 1 : 0;
    }
  }
  Rational value;
  fmpz_set_str(fmpq_numref(value.value_), whole.c_str(), 10);
  if (decimals > 0) {
    fmpz_set_ui(fmpq_denref(value.value_), 10);
    fmpz_pow_ui(fmpq_denref(value.value_), fmpq_denref(value.value_), decimals);
    fmpq_canonicalise(value.value_);
  }
  return value;
}

bool Rational::ToInteger(int64_t limit, int64_t* value) const {
  if (!IsInteger() || fmpz_cmpabs(fmpq_numref(value_), fmpq_numref(Rational(limit).value_)) > 0) {
    return false;
  }
  *value = fmpz_get_si(fmpq_numref(value_));
  return true;
}

std::string Rational::Text() const {
  constexpr int64_t kBits = 20000;
  if (Bits() > kBits) return "a number of " + std::to_string(Bits()) + " bits";
  char* digits = fmpq_get_str(nullptr, 10, value_);
  std::string text = digits;
  flint_free(digits);
  constexpr size_t kLongest = 60;
  if (text.size() > kLongest) text = text.substr(0, 25) + "..." + text.substr(text.size() - 25);
  return text;
}

}  // namespace attnrl::verifier
