// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <map>

#include "services/verifier/grading/reading/token_parser.h"
#include "services/verifier/grading/reading/units.h"

namespace attnrl::verifier {
namespace {

// Dimensions with their exponents, and the factor to the base units: "m/s^2".
struct CompoundUnit {
  std::map<std::string, int64_t> dimensions;
  Rational factor = Rational(1);

  void Multiply(const Unit& unit, int64_t power) {
    const size_t per = unit.dimension.find('/');
    dimensions[unit.dimension.substr(0, per)] += power;
    if (per != std::string::npos) dimensions[unit.dimension.substr(per + 1)] -= power;
    factor = factor * Rational::Power(unit.factor, power);
  }
  std::string Name() const {
    std::string name;
    for (const auto& [dimension, power] : dimensions) {
      if (power == 0) continue;
      if (!name.empty()) name += ' ';
      name += dimension;
      if (power != 1) name += "^" + std::to_string(power);
    }
    return name;
  }
};

// Whether letters that are not in a text style are a unit: "5 feet", but not the product in "2Gm".
bool IsPlainUnit(const std::string& word, bool spaced) {
  static constexpr std::string_view kAttached[] = {"cm", "mm", "km", "kg"};
  static constexpr std::string_view kApart[] = {"ml", "mL", "ft", "yd",  "mi",  "lb",
                                                "oz", "hr", "Hz", "kHz", "MHz", "eV",
                                                "kJ", "kW", "kN", "kPa", "mph", "cc"};
  // As variables, so many letters would be written apart.
  constexpr size_t kLongWord = 4;
  if (word.size() >= kLongWord) return true;
  const auto is_word = [&word](std::string_view each) { return each == word; };
  if (std::any_of(std::begin(kAttached), std::end(kAttached), is_word)) return true;
  if (!spaced || word.size() < 2) return false;
  if (std::any_of(std::begin(kApart), std::end(kApart), is_word)) return true;
  return word.size() == 3 && FindUnit(word) && !FindUnit(word)->symbol;
}

}  // namespace

std::string TokenParser::Word() const {
  std::string word;
  for (size_t i = at_; i < end_ && IsLetterToken(tokens_[i].text); ++i) {
    if (i > at_ && (tokens_[i].spaced || tokens_[i].styled != tokens_[at_].styled)) break;
    word += tokens_[i].text;
  }
  return word;
}

bool TokenParser::BeginsUnit() const {
  if (!IsLetterToken(Peek())) return false;
  const std::string word = Word();
  if (!Current().styled && !IsPlainUnit(word, Current().spaced)) return false;
  static constexpr std::string_view kOthers[] = {"square",   "sq",    "cubic",    "cu",
                                                 "distinct", "right", "different"};
  for (const std::string_view other : kOthers) {
    if (word == other) return true;
  }
  return FindUnit(word).has_value() || FindScale(word).has_value();
}

// Words that stand for themselves: "Saturday", "not even".
std::optional<Expression> TokenParser::Words() {
  std::string text;
  while (!AtEnd() && IsLetterToken(Peek())) {
    const std::string word = Word();
    if (word == "and" || word == "or") break;
    if (!text.empty()) text += ' ';
    text += word;
    at_ += word.size();
  }
  return MakeNode(Kind::kText, std::move(text), {});
}

// A value with the unit or the number words that follow it, if any. A word that is neither makes
// the answer unreadable, but for single letters: those are variables.
std::optional<Expression> TokenParser::WithUnit(Expression value) {
  CompoundUnit unit;
  bool found = false;
  int64_t sign = 1;
  int64_t squared = 0;  // of "square inches", for the unit that follows
  int scales = 0;
  bool incomplete = false;  // a word was read that needs another one behind it
  while (!AtEnd()) {
    if (!work_.Spend(1)) return std::nullopt;
    const size_t begin = at_;
    std::string word(Peek());
    if (IsLetterToken(word)) {
      word = Word();
      at_ += word.size();
    } else if (word == "%" || word == "\\degree" || word == "\\Omega" || word == "\\$") {
      ++at_;
      if (word == "\\degree" && (Peek() == "C" || Peek() == "F") && Current().styled) {
        word = "degree" + std::string(Peek());
        ++at_;
      }
    } else if (found && (word == "/" || word == "*") && IsLetterToken(Peek(1)) &&
               tokens_[at_ + 1].styled) {
      ++at_;
      sign = word == "/" ? -1 : 1;
      incomplete = true;
      continue;
    } else {
      break;
    }
    if (word == "and" || word == "or") {
      at_ = begin;
      break;
    }
    if (const std::optional<Rational> scale = FindScale(word); scale) {
      // "3 million", but not "3 cm million", "3 per dozen".
      constexpr int kMostScales = 3;
      if (found || squared != 0 || sign < 0 || ++scales > kMostScales) return std::nullopt;
      std::vector<Expression> factors;
      factors.push_back(std::move(value));
      factors.push_back(MakeNumber(*scale));
      value = MakeProduct(std::move(factors));
      continue;
    }
    if (word == "square" || word == "sq" || word == "cubic" || word == "cu") {
      if (squared != 0) return std::nullopt;
      squared = word[0] == 's' ? 2 : 3;
      Take(".");
      incomplete = true;
      continue;
    }
    if (word == "per") {
      if (sign < 0) return std::nullopt;
      sign = -1;
      incomplete = true;
      continue;
    }
    // "distinct integers", "right triangles"
    if (word == "distinct" || word == "right" || word == "different") {
      incomplete = true;
      continue;
    }
    std::optional<Unit> one = FindUnit(word == "\\degree" ? "deg" : word);
    if (!one && word.starts_with("degree") && word.size() == 7) one = Unit{word};
    if (!one) return std::nullopt;
    int64_t power = squared == 0 ? 1 : squared;
    if (Take("^")) {
      Result exponent = Braced();
      if (!exponent || exponent->kind != Kind::kNumber || squared != 0 ||
          !exponent->number.ToInteger(9, &power)) {
        return std::nullopt;
      }
    }
    unit.Multiply(*one, sign * power);
    found = true;
    incomplete = false;
    sign = 1;
    squared = 0;
    Take(".");
  }
  if (incomplete) return std::nullopt;
  // "5 \% \%" is no percentage.
  const std::string name = unit.Name();
  if (unit.dimensions.count("%") > 0 && name != "%") return std::nullopt;
  if (!found) return value;
  std::vector<Expression> arguments;
  arguments.push_back(std::move(value));
  arguments.push_back(MakeNumber(unit.factor));
  return MakeNode(Kind::kQuantity, name, std::move(arguments));
}

}  // namespace attnrl::verifier
