// SPDX-License-Identifier: Apache-2.0
// Words around a value, other words, other units.
#include <utility>

#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

using Made = std::optional<std::string>;

Made Styled(const std::string& before, const std::string& word, RandomStream& random) {
  switch (random.Below(6)) {
    case 0:
      return before + "\\text{ " + word + "}";
    case 1:
      return before + " \\mathrm{" + word + "}";
    case 2:
      return before + " " + word;
    case 3:
      return before + "\\,\\textbf{" + word + "}";
    case 4:
      return before + "~\\mbox{" + word + " }";
    default:
      return before + "\\ \\operatorname{" + word + "}";
  }
}

Made WordBehind(const Gold& gold, RandomStream& random) {
  if (!gold.IsValue() || gold.IsZero()) return std::nullopt;
  static constexpr const char* kWords[] = {"million",
                                           "billion",
                                           "thousand",
                                           "hundred",
                                           "dozen",
                                           "half",
                                           "third",
                                           "quarters",
                                           "score",
                                           "pairs",
                                           "gross",
                                           "squared",
                                           "cubed",
                                           "pi",
                                           "wrong",
                                           "undefined",
                                           "incorrect",
                                           "not",
                                           "or more",
                                           "or less",
                                           "at least",
                                           "percent",
                                           "factorial",
                                           "sin",
                                           "root",
                                           "mod 3",
                                           "to 5",
                                           "minus 1",
                                           "plus one",
                                           "times two",
                                           "times 2",
                                           "per dozen",
                                           "per hundred",
                                           "base 8",
                                           "tenths",
                                           "hundredths",
                                           "th power",
                                           "false",
                                           "maybe",
                                           "per",
                                           "square",
                                           "cubic",
                                           "double",
                                           "twice",
                                           "zero",
                                           "million cm",
                                           "dozen percent",
                                           "hundredth",
                                           "is wrong",
                                           "more",
                                           "less",
                                           "negative",
                                           "over 2",
                                           "divided by 2",
                                           "and a half",
                                           "and 3",
                                           "hundred thousand",
                                           "couple",
                                           "trillion",
                                           "thirds",
                                           "of 7",
                                           "out of 9",
                                           "or 7",
                                           "if x",
                                           "for n even",
                                           "unless"};
  return Styled(gold.text, Pick(kWords, random), random);
}

Made WordBefore(const Gold& gold, RandomStream& random) {
  if (!gold.IsValue() || gold.IsZero()) return std::nullopt;
  static constexpr const char* kWords[] = {
      "not",   "minus",    "at most", "at least",  "less than",  "half",           "twice",
      "never", "sin",      "log",     "minus the", "other than", "everything but", "million",
      "dozen", "negative", "1 over",  "sqrt",      "between"};
  static constexpr const char* kFunctions[] = {"sin", "log", "sqrt"};
  const std::string word = Pick(kWords, random);
  for (const char* function : kFunctions) {
    if (word == function && (gold.value == 1 || gold.value == 0)) return std::nullopt;
  }
  switch (random.Below(3)) {
    case 0:
      return "\\text{" + word + " }" + gold.text;
    case 1:
      return word + " " + gold.text;
    default:
      return "\\mathrm{" + word + "}\\ " + gold.text;
  }
}

Made OtherWord(const Gold& gold, RandomStream& random) {
  if (!gold.word) return std::nullopt;
  const bool styled = gold.Has("\\text{");
  std::string word = styled ? gold.text.substr(6, gold.text.size() - 7) : gold.text;
  switch (random.Below(7)) {
    case 0:
      word = "not " + word;
      break;
    case 1:
      word = "un" + word;
      break;
    case 2:
      word += " or not";
      break;
    case 3: {
      char& letter = word[random.Below(word.size())];
      letter = letter == 'q' ? 'z' : 'q';
      break;
    }
    case 4:
      word.erase(random.Below(word.size()), 1);
      break;
    case 5: {
      const size_t a = random.Below(word.size() - 1);
      if (word[a] == word[a + 1]) return std::nullopt;
      std::swap(word[a], word[a + 1]);
      break;
    }
    default:
      word = std::string(word.rbegin(), word.rend()) == word
                 ? word + "x"
                 : std::string(word.rbegin(), word.rend());
  }
  return random.Below(2) == 0 ? "\\text{" + word + "}" : word;
}

struct Conversion {
  const char* from;
  const char* to;
};

// Units that differ in size or kind.
constexpr Conversion kConversions[] = {{"cm", "m"},
                                       {"cm", "mm"},
                                       {"cm", "inches"},
                                       {"minutes", "hours"},
                                       {"minutes", "seconds"},
                                       {"hours", "minutes"},
                                       {"m/s", "km/h"},
                                       {"feet", "inches"},
                                       {"feet", "yards"},
                                       {"inches", "feet"},
                                       {"dollars", "cents"},
                                       {"cents", "dollars"},
                                       {"degrees", "radians"},
                                       {"miles", "km"},
                                       {"days", "hours"},
                                       {"pounds", "ounces"},
                                       {"gallons", "quarts"},
                                       {"square", "cubic"},
                                       {"mph", "m/s"},
                                       {"Hz", "kHz"},
                                       {"^\\circ", "\\text{ rad}"}};

Made OtherUnit(const Gold& gold, RandomStream& random) {
  if (gold.IsZero()) return std::nullopt;
  const Conversion conversion = Pick(kConversions, random);
  if (!gold.Has("\\text") && !gold.Has("\\mbox") && conversion.from[0] != '^') return std::nullopt;
  const size_t at = gold.text.find(conversion.from);
  if (at == std::string::npos) return std::nullopt;
  const size_t size = std::string_view(conversion.from).size();
  // "cm" in "kcm" or "m/s" in "km/s" is another unit.
  if (at > 0 && IsLetter(gold.text[at - 1])) return std::nullopt;
  if (at + size < gold.text.size() && IsLetter(gold.text[at + size])) return std::nullopt;
  return Replaced(gold.text, {at, size}, conversion.to);
}

Made OtherCurrency(const Gold& gold, RandomStream& random) {
  if (!gold.text.starts_with("\\$") || gold.IsZero()) return std::nullopt;
  static constexpr const char* kUnits[] = {"\\text{ cents}",   "\\text{ euros}", "\\text{ dimes}",
                                           "\\text{ million}", "\\text{ yen}",   "\\%"};
  return gold.text.substr(2) + Pick(kUnits, random);
}

Made UnitPower(const Gold& gold, RandomStream& random) {
  if (!gold.text.ends_with("\\text{ cm}") && !gold.text.ends_with("\\text{ m}")) {
    return std::nullopt;
  }
  static constexpr const char* kPowers[] = {"^2", "^3", "^{-1}", "/\\text{s}"};
  return gold.text + Pick(kPowers, random);
}

// Sums and multiples of a quantity, and marks that make it another one.
Made UnitSum(const Gold& gold, RandomStream& random) {
  if (!gold.IsValue() || gold.IsZero()) return std::nullopt;
  static constexpr const char* kForms[] = {"A\\text{ cm} + 3 - 2",
                                           "A\\text{ cm} + 1\\text{ cm}",
                                           "A^\\circ + 1^\\circ",
                                           "A^\\circ + 1",
                                           "A^{\\prime}",
                                           "A^{\\prime\\prime}",
                                           "A'",
                                           "A''",
                                           "2 \\cdot (A\\text{ cm})",
                                           "A\\text{ m} + 1\\text{ cm} - 1",
                                           "\\frac{A\\text{ cm}}{2}",
                                           "A\\text{ cm} + A\\text{ m}",
                                           "2 \\cdot A^\\circ",
                                           "A\\text{ cm} \\cdot 2\\text{ cm}",
                                           "\\frac{A\\text{ cm}}{2\\text{ s}}"};
  std::string text;
  for (const char c : std::string(Pick(kForms, random))) {
    text += c == 'A' ? gold.text : std::string(1, c);
  }
  return text;
}

}  // namespace

std::vector<Rule> WordRules() {
  return {{"a word behind", WordBehind},       {"a word in front", WordBefore},
          {"another word", OtherWord},         {"another unit", OtherUnit},
          {"another currency", OtherCurrency}, {"another power of the unit", UnitPower},
          {"sums of units", UnitSum}};
}

}  // namespace attnrl::fuzz
