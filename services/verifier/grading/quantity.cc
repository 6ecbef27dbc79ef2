// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/quantity.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "services/verifier/grading/number.h"

namespace attnrl::verifier {
namespace {

constexpr std::string_view kPercent = "%";
constexpr std::string_view kDegree = "\\degree";

// Words that say something about the number, so that it means less or more without them.
constexpr std::string_view kNotUnits[] = {"about",   "all",  "and",   "approximately", "at",
                                          "between", "e",    "false", "greater",       "i",
                                          "if",      "is",   "k",     "least",         "less",
                                          "minus",   "mod",  "more",  "most",          "n",
                                          "no",      "none", "not",   "only",          "or",
                                          "over",    "plus", "t",     "than",          "times",
                                          "to",      "true", "up",    "when",          "where",
                                          "x",       "y",    "z"};

bool IsLetters(const std::string& text) {
  return text.size() == 1 &&
         ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'));
}

std::string Synonym(std::string unit) {
  if (unit == "percent" || unit == "pct") return std::string(kPercent);
  if (unit == "degrees" || unit == "degree") return std::string(kDegree);
  return unit;
}

// The unit that `tokens` spell; empty: none.
std::string ReadUnit(std::span<const Token> tokens) {
  if (tokens.size() == 1 && (tokens[0].text == kPercent || tokens[0].text == kDegree)) {
    return tokens[0].text;
  }
  std::string unit;
  std::string word;
  auto is_unit = [&word] {
    return std::find(std::begin(kNotUnits), std::end(kNotUnits), word) == std::end(kNotUnits);
  };
  int braces = 0;
  for (const Token& token : tokens) {
    bool letter = token.styled && IsLetters(token.text);
    if (!letter || token.spaced) {
      if (!is_unit()) return {};
      word.clear();
    }
    braces += token.text == "{" ? 1 : token.text == "}" ? -1 : 0;
    bool other = token.text == "^" || token.text == "{" || token.text == "}" || token.text == "/";
    bool power = braces > 0 && (IsNumber(token) || token.text == "-");
    if (!letter && !other && !power) return {};
    if (letter) word += token.text;
    unit += token.text;
  }
  return is_unit() ? Synonym(std::move(unit)) : std::string();
}

}  // namespace

std::optional<Quantity> ReadQuantity(std::span<const Token> tokens, int depth, Work& work) {
  auto begins_unit = [](const Token& token) {
    return token.text == kPercent || token.text == kDegree ||
           (token.styled && IsLetters(token.text));
  };
  auto unit_begin = std::find_if(tokens.begin(), tokens.end(), begins_unit);
  auto number = static_cast<size_t>(unit_begin - tokens.begin());
  if (!work.Spend(static_cast<int64_t>(tokens.size()) + 1)) return std::nullopt;
  std::string unit;
  if (number < tokens.size()) {
    unit = ReadUnit(tokens.subspan(number));
    if (unit.empty()) return std::nullopt;
  }
  std::optional<Rational> value = EvaluateNumber(tokens.first(number), depth, work);
  if (!value) return std::nullopt;
  return Quantity{*std::move(value), std::move(unit)};
}

bool EqualQuantities(const Quantity& given, const Quantity& wanted, Work& work) {
  if (given.unit == wanted.unit) return Equal(given.value, wanted.value, work);
  if (!given.unit.empty() && !wanted.unit.empty()) return false;
  Rational hundredth =
      Divide(Rational::FromDecimal("1", work), Rational::FromDecimal("100", work), work);
  if (given.unit == kPercent) {
    return Equal(Multiply(given.value, hundredth, work), wanted.value, work);
  }
  if (wanted.unit == kPercent &&
      Equal(given.value, Multiply(wanted.value, hundredth, work), work)) {
    return true;
  }
  return Equal(given.value, wanted.value, work);
}

}  // namespace attnrl::verifier
