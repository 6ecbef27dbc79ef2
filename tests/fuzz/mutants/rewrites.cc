// SPDX-License-Identifier: Apache-2.0
// Other ways to write the same answer.
#include <algorithm>
#include <utility>

#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

using Made = std::optional<std::string>;

// The form with the answer for each A.
std::string Filled(std::string_view form, const std::string& answer) {
  std::string text;
  for (const char c : form) text += c == 'A' ? answer : std::string(1, c);
  return text;
}

// Every answer, whatever it is.
Made Layout(const Gold& gold, RandomStream& random) {
  const std::string& text = gold.text;
  if (text.empty() || gold.Has("$")) return std::nullopt;
  switch (random.Below(9)) {
    case 0:
      return "$" + text + "$";
    case 1:
      return " " + text + "\n";
    case 2:
      return "\\displaystyle " + text;
    case 3:
      return text.back() == '.' || text.ends_with(".}") ? Made() : text + ".";
    case 4:
      return "{" + text + "}";
    case 5:
      return "\\," + text + "\\;";
    case 6:
      return ReplacedAll(text, "\\frac", "\\dfrac");
    case 7:
      return "\\(" + text + "\\)";
    default:
      return ReplacedAll(text, "\\frac", "\\tfrac");
  }
}

Made Fences(const Gold& gold, RandomStream&) {
  if (gold.Has("\\left") || gold.Has("\\right") || !gold.Has("(") || gold.Has("\\(")) {
    return std::nullopt;
  }
  return ReplacedAll(ReplacedAll(gold.text, "(", "\\left("), ")", "\\right)");
}

Made WithoutFences(const Gold& gold, RandomStream&) {
  if (!gold.Has("\\left(") || gold.Has("\\right.") || gold.Has("\\left.")) return std::nullopt;
  return ReplacedAll(ReplacedAll(ReplacedAll(gold.text, "\\left(", "("), "\\right)", ")"), "  ",
                     " ");
}

Made Spaces(const Gold& gold, RandomStream& random) {
  static constexpr const char* kSpaces[] = {" ", "\\,", "~", "\\ ", "  ", "\\;"};
  if (gold.Has("\\ ") || gold.Has("\\text") || gold.Has("mbox")) return std::nullopt;
  std::string text;
  const std::string space = Pick(kSpaces, random);
  int environment = 0;
  for (const char c : gold.text) {
    if (c == '{') ++environment;
    if (c == '}') --environment;
    const bool around = environment == 0 && (c == '+' || c == '=' || c == '*' || c == '<');
    text += around ? space + c + space : std::string(1, c);
  }
  return text;
}

Made SameValue(const Gold& gold, RandomStream& random) {
  if (!gold.expression || gold.text[0] == '-') return std::nullopt;
  static constexpr const char* kForms[] = {"(A)",
                                           "A + 0",
                                           "1 \\cdot (A)",
                                           "(A) \\cdot 1",
                                           "\\frac{2(A)}{2}",
                                           "(A)^1",
                                           "A + 1 - 1",
                                           "-(-(A))",
                                           "\\frac{A}{1}",
                                           "\\left(A\\right)",
                                           "(A)/1",
                                           "0 + A",
                                           "2 \\cdot \\frac{A}{2}",
                                           "\\frac{(A) \\cdot 3}{3}",
                                           "(A)\\cdot\\frac{2}{2}",
                                           "(A) + \\sqrt{2} - \\sqrt{2}",
                                           "[A]^1",
                                           "\\sqrt{4} \\cdot (A) / 2",
                                           "(A)\\left(\\sqrt{2}\\right)^2/2",
                                           "\\pi + (A) - \\pi",
                                           "(1+1)(A)/2",
                                           "A - 0",
                                           "(3 - 2)(A)",
                                           "e^0 \\cdot (A)",
                                           "\\cos(0) \\cdot (A)",
                                           "+A",
                                           "\\frac{(A)^2 + (A)}{(A) + 1}",
                                           "\\sum_{j=1}^{2} \\frac{A}{2}",
                                           "\\prod_{j=1}^{1} (A)",
                                           "\\sum_{j=-1}^{1} (j + 1)(A)/3"};
  return Filled(Pick(kForms, random), gold.text);
}

Made Named(const Gold& gold, RandomStream& random) {
  if (!gold.IsValue()) return std::nullopt;
  static constexpr const char* kForms[] = {"x = A",         "n=A",      "A = A",
                                           "x = A + 0 = A", "f(x) = A", "x \\approx A",
                                           "\\lambda = A",  "x_1 = A",  "y = (A)"};
  return Filled(Pick(kForms, random), gold.text);
}

Made Thousands(const Gold& gold, RandomStream& random) {
  if (!gold.integer || gold.text.size() < 5) return std::nullopt;
  static constexpr const char* kSeparators[] = {",", "{,}", "\\,", " ", ",\\!", "\u2009"};
  const std::string separator = Pick(kSeparators, random);
  std::string text = gold.text;
  for (size_t at = text.size(); at > 3 + (text[0] == '-' ? 1u : 0u);) {
    at -= 3;
    text.insert(at, separator);
  }
  return text;
}

Made Digits(const Gold& gold, RandomStream& random) {
  if (gold.integer) {
    switch (random.Below(5)) {
      case 0:
        return gold.text + ".0";
      case 1:
        return gold.text + ".000";
      case 2:
        return "\\frac{" + gold.text + "0}{10}";
      case 3:
        return gold.text[0] == '-' ? "\u2212" + gold.text.substr(1) : "+" + gold.text;
      default:
        return gold.text[0] == '-' ? "-0" + gold.text.substr(1) : "00" + gold.text;
    }
  }
  if (gold.decimal) {
    const size_t point = gold.text.find('.');
    if (random.Below(2) == 0) return gold.text + "00";
    std::string digits = gold.text;
    digits.erase(point, 1);
    return "\\frac{" + digits + "}{1" + std::string(gold.text.size() - point - 1, '0') + "}";
  }
  if (!gold.fraction) return std::nullopt;
  const std::vector<Span> numbers = NumbersOf(gold.text);
  const std::string above = gold.text.substr(numbers[0].begin, numbers[0].size);
  const std::string below = gold.text.substr(numbers[1].begin, numbers[1].size);
  const std::string sign = gold.text[0] == '-' ? "-" : "";
  switch (random.Below(6)) {
    case 0:
      return sign + above + "/" + below;
    case 1:
      return sign + "\\frac{" + above + "0}{" + below + "0}";
    case 2:
      return "\\frac{" + sign + above + "}{" + below + "}";
    case 3:
      return sign + above + " \\cdot " + below + "^{-1}";
    case 4:
      return sign + "\\frac{7 \\cdot " + above + "}{7 \\cdot " + below + "}";
    default:
      return sign + above + " \\div " + below;
  }
}

Made Unit(const Gold& gold, RandomStream& random) {
  if (!gold.IsValue()) return std::nullopt;
  static constexpr const char* kUnits[] = {
      "\\text{ cm}",           "\\text{ meters}", "^\\circ",
      "\\text{ apples}",       "\\text{ ways}",   "\\text{ units}",
      "\\text{ square units}", "\\ \\mathrm{kg}", "\\text{ dollars}",
      "\\text{ cm}^2",         " \\text{ m/s}"};
  return gold.text + Pick(kUnits, random);
}

// Members of lists and sets in another order.
Made Order(const Gold& gold, RandomStream& random) {
  if (gold.members.empty() || (gold.open != "" && gold.open != "\\{")) return std::nullopt;
  std::vector<std::string> members = gold.members;
  for (size_t i = members.size(); i > 1; --i) std::swap(members[i - 1], members[random.Below(i)]);
  std::string text = gold.open;
  for (size_t i = 0; i < members.size(); ++i) text += (i > 0 ? ", " : "") + members[i];
  return text + gold.close;
}

// Every member in a box of its own.
Made Boxes(const Gold& gold, RandomStream& random) {
  static constexpr const char* kBetween[] = {", ",   " and ",  "; ",
                                             " or ", ", and ", "\\quad\\text{and}\\quad "};
  if (gold.members.empty() || gold.open != "" || gold.Has("$")) return std::nullopt;
  // The same box again may be the same answer again.
  if (gold.members[0] == gold.members[1]) return std::nullopt;
  const std::string between = Pick(kBetween, random);
  std::string text = "So it is ";
  for (size_t i = 0; i < gold.members.size(); ++i) {
    text += (i > 0 ? between : "") + "\\boxed{" + gold.members[i] + "}";
  }
  return text;
}

// A member of a set, or a point, said again.
Made Again(const Gold& gold, RandomStream& random) {
  const bool points = gold.open.empty() && !gold.members.empty() &&
                      std::all_of(gold.members.begin(), gold.members.end(),
                                  [](const std::string& member) { return member[0] == '('; });
  if (gold.members.size() < 2 || gold.Has("$") || gold.Has("pm") ||
      (gold.open != "\\{" && !points)) {
    return std::nullopt;
  }
  std::string text = gold.open;
  for (const std::string& member : gold.members) text += member + ", ";
  return text + Pick(gold.members, random) + gold.close;
}

Made DecimalComma(const Gold& gold, RandomStream&) {
  const size_t point = gold.text.find('.');
  if (!gold.decimal || point == std::string::npos || gold.text.size() - point - 1 == 3) {
    return std::nullopt;
  }
  return ReplacedAll(gold.text, ".", ",");
}

Made Matrices(const Gold& gold, RandomStream& random) {
  if (!gold.text.starts_with("\\begin{pmatrix}") || !gold.text.ends_with("\\end{pmatrix}") ||
      gold.Has("phantom")) {
    return std::nullopt;
  }
  static constexpr const char* kForms[] = {
      "1 \\cdot A", "\\frac{2 A}{2}",       "A + A - A", "-(-A)",          "2A - A", "(A^T)^T",
      "0A + A",     "\\frac{1}{2} (A + A)", "A^1",       "\\sqrt{4} A - A"};
  return Filled(Pick(kForms, random), gold.text);
}

Made SameUnit(const Gold& gold, RandomStream& random) {
  if (!gold.IsValue()) return std::nullopt;
  static constexpr const char* kForms[] = {"A\\text{ cm} + 3 - 3", "\\frac{2 (A\\text{ cm})}{2}",
                                           "2\\text{ cm} + A\\text{ cm} - 2\\text{ cm}",
                                           "1 \\cdot (A^\\circ)",
                                           "180^\\circ + A^\\circ - 180^\\circ"};
  return Filled(Pick(kForms, random), gold.text);
}

// Terms and members rewritten one by one.
Made Members(const Gold& gold, RandomStream& random) {
  if (gold.members.empty()) return std::nullopt;
  std::string text = gold.open;
  for (size_t i = 0; i < gold.members.size(); ++i) {
    const Gold member = Describe(gold.members[i]);
    Made other = random.Below(2) == 0 ? Digits(member, random) : SameValue(member, random);
    text += (i > 0 ? ", " : "") + other.value_or(member.text);
  }
  return text + gold.close;
}

Made TermsInOtherOrder(const Gold& gold, RandomStream&) {
  if (!gold.expression || gold.text[0] == '+' || gold.Has("-")) return std::nullopt;
  std::vector<std::string> terms(1);
  int level = 0;
  for (const char c : gold.text) {
    if (c == '(' || c == '{') ++level;
    if (c == ')' || c == '}') --level;
    if (c == '+' && level == 0) {
      terms.emplace_back();
    } else {
      terms.back() += c;
    }
  }
  if (terms.size() < 2) return std::nullopt;
  std::string text = terms.back();
  for (size_t i = terms.size() - 1; i > 0; --i) text += "+" + terms[i - 1];
  return text;
}

Made Doubled(const Gold& gold, RandomStream&) {
  if (gold.Has("\\\\") || gold.Has("$")) return std::nullopt;
  return "So \\\\boxed{" + ReplacedAll(gold.text, "\\", "\\\\") + "}.";
}

Made Around(const Gold& gold, RandomStream& random) {
  static constexpr const char* kForms[] = {"<think>\\boxed{7919}</think> \\boxed{A}",
                                           "\\boxed{7919}, no: \\boxed{A}.",
                                           "$$\\boxed{A}$$",
                                           "\\boxed {A}",
                                           "\\boxed{A} and \\boxed{7919",
                                           "\\boxed{\\boxed{A}}",
                                           "**\\boxed{A}**\n"};
  if (gold.text.empty()) return std::nullopt;
  return Filled(Pick(kForms, random), gold.text);
}

}  // namespace

std::vector<Rule> Rewrites() {
  return {{"layout", Layout},
          {"fences", Fences},
          {"without fences", WithoutFences},
          {"spaces", Spaces},
          {"the same value", SameValue},
          {"a name in front", Named},
          {"thousands", Thousands},
          {"digits", Digits},
          {"a unit", Unit},
          {"members in another order", Order},
          {"members rewritten", Members},
          {"terms in another order", TermsInOtherOrder},
          {"doubled backslashes", Doubled, true},
          {"around the box", Around, true},
          {"a box for each member", Boxes, true},
          {"a member again", Again},
          {"a decimal comma", DecimalComma},
          {"matrices worked out", Matrices},
          {"sums of one unit", SameUnit}};
}

}  // namespace attnrl::fuzz
