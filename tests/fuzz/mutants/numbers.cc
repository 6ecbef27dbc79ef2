// SPDX-License-Identifier: Apache-2.0
// Digits, signs, powers and roundings.
#include <algorithm>
#include <utility>

#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

using Made = std::optional<std::string>;

// Without needless zeros, so that two spellings of one number are equal.
std::string Canonical(std::string digits) {
  if (digits.find('.') != std::string::npos) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  return digits.empty() || digits[0] == '.' ? "0" + digits : digits;
}

// Where another number changes the value for certain: nothing is multiplied by 0, no power of 1, -1
// or i, no period, no symmetry.
bool DependsOnEachNumber(const Gold& gold) {
  for (const char* part : {"binom", "!", "sin", "cos", "tan", "0^", "1^", "^0", "^{0", "-1)^", "i^",
                           "-1\\right)^", "e^{", "phantom", "mod", "cdots", "ldots", "x_", "sum"}) {
    if (gold.Has(part)) return false;
  }
  for (const Span& span : NumbersOf(gold.text)) {
    const std::string number = Canonical(gold.text.substr(span.begin, span.size));
    if (number == "0" && gold.text.size() > 2) return false;
  }
  return true;
}

// A value that isn't 0, 1 or -1.
bool IsLarge(const Gold& gold) {
  return gold.fraction || (gold.integer && gold.value != 0 && std::abs(gold.value) != 1);
}

// One number of the text, other than it was.
Made WithNumber(const Gold& gold, RandomStream& random,
                std::string (*change)(std::string digits, RandomStream& random)) {
  const std::vector<Span> numbers = NumbersOf(gold.text);
  if (numbers.empty() || !DependsOnEachNumber(gold)) return std::nullopt;
  const Span span = Pick(numbers, random);
  const std::string digits = gold.text.substr(span.begin, span.size);
  const std::string changed = change(digits, random);
  if (changed.empty() || Canonical(changed) == Canonical(digits)) return std::nullopt;
  // Digits behind those of a decimal number may be more of its digits.
  if (digits.find('.') != std::string::npos && changed.size() > digits.size()) return std::nullopt;
  return Replaced(gold.text, span, changed);
}

Made ChangeDigit(const Gold& gold, RandomStream& random) {
  return WithNumber(gold, random, [](std::string digits, RandomStream& stream) {
    char& digit = digits[stream.Below(digits.size())];
    if (digit != '.') digit = static_cast<char>('0' + stream.Below(10));
    return digits;
  });
}

Made InsertDigit(const Gold& gold, RandomStream& random) {
  return WithNumber(gold, random, [](std::string digits, RandomStream& stream) {
    digits.insert(stream.Below(digits.size() + 1), 1, static_cast<char>('0' + stream.Below(10)));
    return digits;
  });
}

Made DropDigit(const Gold& gold, RandomStream& random) {
  return WithNumber(gold, random, [](std::string digits, RandomStream& stream) {
    const size_t at = stream.Below(digits.size());
    return digits[at] == '.' || digits.size() < 2 ? std::string() : digits.erase(at, 1);
  });
}

Made AppendDigits(const Gold& gold, RandomStream& random) {
  return WithNumber(gold, random, [](std::string digits, RandomStream& stream) {
    for (uint64_t more = 1 + stream.Below(20); more > 0; --more) {
      digits += static_cast<char>('0' + stream.Below(10));
    }
    return digits;
  });
}

Made SwapDigits(const Gold& gold, RandomStream& random) {
  return WithNumber(gold, random, [](std::string digits, RandomStream& stream) {
    const size_t a = stream.Below(digits.size());
    const size_t b = stream.Below(digits.size());
    if (digits[a] == '.' || digits[b] == '.') return std::string();
    std::swap(digits[a], digits[b]);
    return digits;
  });
}

Made MovePoint(const Gold& gold, RandomStream& random) {
  if ((!gold.decimal && !gold.integer) || gold.IsZero()) return std::nullopt;
  std::string digits = ReplacedAll(gold.text, ".", "");
  const size_t first = digits[0] == '-' ? 1 : 0;
  if (digits.size() < first + 2) return std::nullopt;
  digits.insert(first + 1 + random.Below(digits.size() - first - 1), ".");
  if (Canonical(digits.substr(first)) == Canonical(gold.text.substr(first))) return std::nullopt;
  return digits;
}

Made Negate(const Gold& gold, RandomStream& random) {
  if (gold.expression && !gold.IsZero()) return "-(" + gold.text + ")";
  if (!gold.IsValue() || gold.IsZero()) return std::nullopt;
  if (gold.text[0] == '-') return gold.text.substr(1);
  static constexpr const char* kSigns[] = {"-", "\u2212", "- ", "-\\,", "(-1)", "\u2013"};
  return Pick(kSigns, random) + gold.text;
}

Made Invert(const Gold& gold, RandomStream& random) {
  if (!IsLarge(gold)) return std::nullopt;
  static constexpr const char* kBefore[] = {"\\frac{1}{", "1/(", "(", "\\left("};
  static constexpr const char* kBehind[] = {"}", ")", ")^{-1}", "\\right)^{-1}"};
  const uint64_t which = random.Below(4);
  return kBefore[which] + gold.text + kBehind[which];
}

Made Scale(const Gold& gold, RandomStream& random) {
  // A decimal number may be rounded.
  if (!gold.expression || gold.IsZero() || gold.text[0] == '-' || gold.HasPoint()) {
    return std::nullopt;
  }
  static constexpr const char* kBefore[] = {"2(",         "\\frac{1}{2}(", "10 \\cdot (",
                                            "-\\pi (",    "\\sqrt{2}(",    "\\frac{(",
                                            "100\\cdot(", "(1+10^{-20})("};
  static constexpr const char* kBehind[] = {")", ")", ")", ")", ")", ")}{3}", ")", ")"};
  const uint64_t which = random.Below(8);
  return kBefore[which] + gold.text + kBehind[which];
}

Made Add(const Gold& gold, RandomStream& random) {
  if (!gold.expression || gold.HasPoint()) return std::nullopt;
  static constexpr const char* kTerms[] = {"+1",     "-1",      "+ \\pi",       "+10^{-2}\\sqrt{2}",
                                           "+1-1/2", "- -1",    "+i",           "+ e",
                                           "+0.5",   "+2^{-1}", "+\\frac{1}{2}"};
  return gold.text + Pick(kTerms, random);
}

Made Power(const Gold& gold, RandomStream& random) {
  if (!IsLarge(gold)) return std::nullopt;
  static constexpr const char* kBehind[] = {")^2",    ")^{3}", ")^{-1}", ")^{1/3}",
                                            ")^\\pi", ")^{0}", ")^{i}"};
  return "(" + gold.text + Pick(kBehind, random);
}

Made Apply(const Gold& gold, RandomStream& random) {
  if (!gold.integer || gold.value < 3) return std::nullopt;
  static constexpr const char* kBefore[] = {
      "\\sqrt{", "\\ln(",      "\\sin(", "\\cos(",   "\\exp(",    "(", "(",
      "\\tan{",  "\\log_{2}{", "\\lg(",  "\\Gamma(", "\\arctan(", "f("};
  static constexpr const char* kBehind[] = {"}", ")", ")", ")", ")", ")!", ")!!",
                                            "}", "}", ")", ")", ")", ")"};
  const uint64_t which = random.Below(std::size(kBefore));
  if (gold.value > 1000 && which == 4) return std::nullopt;
  return kBefore[which] + gold.text + kBehind[which];
}

// 0.67 for 2/3, where no decimal number is exact.
Made Round(const Gold& gold, RandomStream& random) {
  if (!gold.fraction) return std::nullopt;
  const std::vector<Span> numbers = NumbersOf(gold.text);
  unsigned long long above = std::stoull(gold.text.substr(numbers[0].begin, numbers[0].size));
  const unsigned long long below = std::stoull(gold.text.substr(numbers[1].begin, numbers[1].size));
  unsigned long long rest = below;
  while (rest % 2 == 0) rest /= 2;
  while (rest % 5 == 0) rest /= 5;
  if (rest == 1) return std::nullopt;
  std::string digits = (gold.text[0] == '-' ? "-" : "") + std::to_string(above / below) + ".";
  above %= below;
  for (uint64_t places = 1 + random.Below(60); places > 0; --places) {
    above *= 10;
    digits += std::to_string(above / below);
    above %= below;
  }
  return digits;
}

Made NearlyInteger(const Gold& gold, RandomStream& random) {
  if (!gold.integer || gold.value <= 0) return std::nullopt;
  const size_t places = 1 + random.Below(400);
  if (random.Below(2) == 0) {
    return std::to_string(gold.value - 1) + "." + std::string(places, '9');
  }
  return gold.text + "." + std::string(places, '0') + "1";
}

// A difference that no fixed precision sees.
Made Cancel(const Gold& gold, RandomStream& random) {
  if (!gold.expression || gold.HasPoint()) return std::nullopt;
  const std::string k = std::to_string(1 + random.Below(random.Below(4) == 0 ? 3000 : 200));
  switch (random.Below(6)) {
    case 0:
      return gold.text + "+10^{-" + k + "}";
    case 1:
      return gold.text + "-\\frac{1}{10^{" + k + "}}";
    case 2:
      return gold.text + "+10^{-" + k + "}\\sqrt{2}";
    case 3:
      return "10^{" + k + "}+" + gold.text + "-10^{" + k + "}+2^{-" + k + "}";
    case 4:
      if (gold.IsZero()) return std::nullopt;
      return "(1+10^{-" + k + "})(" + gold.text + ")";
    default:
      return gold.text + "+0." + std::string(random.Below(600), '0') + "1";
  }
}

// A comma where it separates thousands, or members.
Made OtherComma(const Gold& gold, RandomStream& random) {
  static constexpr const char* kThousands[] = {"100", "000", "250"};
  const size_t point = gold.text.find('.');
  if (gold.decimal && gold.value == 0 && gold.text[0] != '0' && gold.text[0] != '-' &&
      gold.text.size() - point - 1 == 3 && gold.text.find_first_of("123456789") < point) {
    return ReplacedAll(gold.text, ".", ",");
  }
  if (gold.integer && gold.text.size() > 1 && gold.value > 0) {
    switch (random.Below(3)) {
      case 0:
        return gold.text + ",5";
      case 1:
        return gold.text + "," + Pick(kThousands, random);
      default:
        return "0," + gold.text;
    }
  }
  return std::nullopt;
}

// The term of a sum over a range in place of the sum, another range, a product for it.
Made OverRange(const Gold& gold, RandomStream& random) {
  static constexpr const char* kForms[] = {"\\sum_{j=1}^{2} (A)",
                                           "\\sum_{j=1}^{n} (A)",
                                           "\\sum_{j=1}^{\\infty} (A)",
                                           "\\sum_{j=0}^{1} (A)",
                                           "\\prod_{j=1}^{2} (A)",
                                           "\\prod_{j=1}^{n} (A)",
                                           "\\sum_{j=1}^{2} \\frac{A}{3}",
                                           "\\sum_{j=2}^{1} (A)",
                                           "\\sum_{j}^{2} \\frac{A}{2}",
                                           "\\sum_{j=1}^{2} \\frac{A}{2} + 1",
                                           "\\sum_{j=1}^{2} \\frac{A_j}{2}",
                                           "\\sum_{j=1}^{1/2} (A)",
                                           "\\sum_{j=1}^{3} (A)(j-1)",
                                           "\\prod_{j=0}^{2} j(A)"};
  if (!gold.integer || gold.value == 0 || gold.value == 1 || gold.value == -1) return std::nullopt;
  std::string text;
  for (const char c : std::string(Pick(kForms, random))) {
    text += c == 'A' ? gold.text : std::string(1, c);
  }
  return text;
}

Made InBase(const Gold& gold, RandomStream& random) {
  if (gold.Has("_") && gold.text.find_first_not_of("0123456789_{}") == std::string::npos) {
    const std::string digits = gold.text.substr(0, gold.text.find('_'));
    static constexpr const char* kBases[] = {"", "_{17}", "_{10}", "_{19}", "_{b}"};
    return digits + Pick(kBases, random);
  }
  if (!gold.integer || gold.value < 10) return std::nullopt;
  static constexpr const char* kBases[] = {"_8", "_{16}", "_{11}", "_b", "_{36}"};
  return gold.text + Pick(kBases, random);
}

Made Modulo(const Gold& gold, RandomStream& random) {
  if (!gold.integer || gold.value < 10) return std::nullopt;
  static constexpr const char* kModuli[] = {" \\mod 7", " \\pmod{7}", " \\bmod 3",       "\\%7",
                                            "\\% 2",    " \\equiv 1", " \\text{ mod } 9"};
  return gold.text + Pick(kModuli, random);
}

Made Percent(const Gold& gold, RandomStream& random) {
  if (!gold.IsValue() || gold.IsZero()) return std::nullopt;
  static constexpr const char* kMarks[] = {"\\%", "%", "\\text{ percent}", " \\% \\%", "\\%\\%"};
  return gold.text + Pick(kMarks, random);
}

Made Homoglyph(const Gold& gold, RandomStream& random) {
  static constexpr std::pair<const char*, const char*> kLookAlikes[] = {
      {"0", "O"},      {"0", "o"},      {"1", "l"},      {"1", "I"},      {"3", "\u0417"},
      {"6", "\u0431"}, {"0", "\u041e"}, {"5", "S"},      {"8", "B"},      {"2", "Z"},
      {"4", "\u0664"}, {"1", "\u06f1"}, {"x", "\u0445"}, {"a", "\u0430"}, {"c", "\u0441"},
      {"y", "\u0443"}, {"-", "\u4e00"}};
  const auto [from, to] = Pick(kLookAlikes, random);
  if (!gold.integer && !(gold.expression && IsLetter(from[0]) &&
                         gold.variables.find(from[0]) != std::string::npos)) {
    return std::nullopt;
  }
  if (gold.expression && IsLetter(from[0])) return WithVariable(gold.text, from[0], to);
  const size_t at = gold.text.find(from);
  if (at == std::string::npos) return std::nullopt;
  return Replaced(gold.text, {at, 1}, to);
}

Made Repeat(const Gold& gold, RandomStream& random) {
  if (!gold.integer || gold.IsZero()) return std::nullopt;
  static constexpr const char* kBehind[] = {
      "\\ldots",   "...",      ".\\overline{3}", ".(3)", "\\overline{0}",
      ".\\dot{1}", "\\bar{1}", ".{}1",           "..",   "!"};
  const char* behind = Pick(kBehind, random);
  if (behind[0] == '!' && std::abs(gold.value) < 3) return std::nullopt;
  return gold.text + behind;
}

}  // namespace

std::vector<Rule> NumberRules() {
  return {{"change a digit", ChangeDigit},
          {"insert a digit", InsertDigit},
          {"drop a digit", DropDigit},
          {"append digits", AppendDigits},
          {"swap two digits", SwapDigits},
          {"move the point", MovePoint},
          {"negate", Negate},
          {"take the reciprocal", Invert},
          {"scale", Scale},
          {"add", Add},
          {"raise to a power", Power},
          {"apply a function", Apply},
          {"round a fraction", Round},
          {"come close to an integer", NearlyInteger},
          {"cancel", Cancel},
          {"change the base", InBase},
          {"reduce modulo", Modulo},
          {"make it a percentage", Percent},
          {"use look-alikes", Homoglyph},
          {"repeat digits", Repeat},
          {"another comma", OtherComma},
          {"over a range", OverRange}};
}

}  // namespace attnrl::fuzz
