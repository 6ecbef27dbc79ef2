// SPDX-License-Identifier: Apache-2.0
// Several answers at once, equations for their solutions, inequalities, other names.
#include <algorithm>
#include <utility>

#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

using Made = std::optional<std::string>;

Made SeveralAnswers(const Gold& gold, RandomStream& random) {
  if (!gold.integer) return std::nullopt;
  const std::string& a = gold.text;
  const std::string b =
      gold.value < 0 ? "7919"
                     : std::to_string(gold.value + 1 + static_cast<long long>(random.Below(50)));
  static constexpr const char* kForms[] = {"A or B",
                                           "A, B",
                                           "A = B",
                                           "x = A = B",
                                           "A \\approx B",
                                           "A \\in \\{A,B\\}",
                                           "A \\cup B",
                                           "\\{A\\} or B",
                                           "A \\pm 1",
                                           "A \\neq B",
                                           "A : B",
                                           "A < B",
                                           "A \\to B",
                                           "A; B",
                                           "[A, B]",
                                           "(A, B)",
                                           "A \\text{ or } B",
                                           "A \\quad B",
                                           "B = A",
                                           "B \\approx A",
                                           "x = B, A",
                                           "x = A, y = B",
                                           "x = A \\text{ or } x = B",
                                           "A / B \\approx A",
                                           "\\{A, B\\}",
                                           "A \\cup \\{B\\}",
                                           "\\{A\\} \\cup \\{B\\}",
                                           "A \\setminus B",
                                           "A \\text{ and } B",
                                           "A, \\ldots, B",
                                           "A \\implies B",
                                           "A \\geq A",
                                           "A \\leq x",
                                           "x \\geq A",
                                           "x \\neq A",
                                           "A | B",
                                           "A \\equiv B",
                                           "A \\& B",
                                           "A \\, \\text{vs} \\, B",
                                           "A \\sim B",
                                           "A = A = B",
                                           "x = A \\neq B",
                                           "A \\\\ B",
                                           "A \\mid B",
                                           "x \\in [A, B]",
                                           "x \\in \\{A, B\\}",
                                           "A \\mapsto B",
                                           "A \\propto B",
                                           "A (B)",
                                           "\\frac{A}{B}",
                                           "A_B",
                                           "A^{B}",
                                           "A - B",
                                           "\\begin{pmatrix} A \\\\ B \\end{pmatrix}",
                                           "\\begin{cases} A \\\\ B \\end{cases}",
                                           "x \\approx B",
                                           "\\approx B",
                                           "\\sim B",
                                           "A \\cdot \\{1, B\\}",
                                           "A \\times (1, B)",
                                           "\\binom{A}{B}",
                                           "\\max(A, B)",
                                           "\\gcd(A, B, 1) + B",
                                           "y = x = B",
                                           "A \\perp B",
                                           "A \\cap B",
                                           "(A) \\cup (B)",
                                           "A\\text{ then }B",
                                           "A \\Rightarrow B",
                                           "A \\iff B"};
  // 0 and 1 are equal to some of these: 0/7, 1^7.
  if (gold.value == 0 || std::abs(gold.value) == 1) return std::nullopt;
  const std::string form = Pick(kForms, random);
  std::string text;
  for (const char c : form) {
    if (c == 'A') {
      text += a;
    } else if (c == 'B') {
      text += b;
    } else {
      text += c;
    }
  }
  return text;
}

// The equation of a problem, instead of its solution.
Made Unsolved(const Gold& gold, RandomStream& random) {
  const size_t equals = gold.text.find('=');
  std::string name = "x";
  std::string value = gold.text;
  if (equals != std::string::npos) {
    name = gold.text.substr(0, equals);
    value = gold.text.substr(equals + 1);
    name.erase(std::remove(name.begin(), name.end(), ' '), name.end());
    value.erase(std::remove(value.begin(), value.end(), ' '), value.end());
  }
  const Gold right = Describe(value);
  if (!right.integer || name.size() != 1 || !IsLetter(name[0]) || right.value == 0 ||
      right.value == 1) {
    return std::nullopt;
  }
  const auto number = [&](long long factor, long long term) {
    return std::to_string(factor * right.value + term);
  };
  switch (random.Below(12)) {
    case 0:
      return "2" + name + " = " + number(2, 0);
    case 1:
      return name + " + 2 = " + number(1, 2);
    case 2:
      return name + "^2 = (" + value + ")^2";
    case 3:
      return "3" + name + " - " + number(3, 0) + " = 0";
    case 4:
      return number(5, 0) + " - 5" + name + " = 0";
    case 5:
      return name + " = " + name;
    case 6:
      return name + "^3 - (" + value + ")^3 = 0";
    case 7:
      return "0 = 0";
    case 8:
      return name + " - 1 = " + number(1, -1);
    case 9:
      return "\\frac{" + name + "}{2} = " + number(1, 0) + "/2";
    case 10:
      return name + " \\cdot " + name + " = " + value + name;
    default:
      return "(" + name + "-" + value + ")(" + name + "-7919) = 0";
  }
}

Made OtherName(const Gold& gold, RandomStream& random) {
  const size_t equals = gold.text.find(" = ");
  if (equals != 1 || !IsLetter(gold.text[0]) || gold.text.find('=', 3) != std::string::npos) {
    return std::nullopt;
  }
  static constexpr const char* kNames[] = {"k", "w", "Q", "\\lambda", "x_7", "-x", "\\neq"};
  const std::string name = Pick(kNames, random);
  if (name[0] == gold.text[0]) return std::nullopt;
  return name + gold.text.substr(1);
}

// "<" for ">", "\leq" for "<".
Made OtherInequality(const Gold& gold, RandomStream& random) {
  static constexpr std::pair<const char*, const char*> kChanges[] = {
      {"<", ">"},     {">", "<"},     {"<", "\\leq "}, {">", "\\geq "},    {"\\leq", "<"},
      {"\\geq", ">"}, {"\\le ", "<"}, {"\\ge ", ">"},  {"\\leq", "\\geq"}, {"\\geq", "\\leq"},
      {"<", "="},     {">", "="},     {"\\leq", "="},  {"\\geq", "\\neq"}, {"<", "\\approx "}};
  const auto [from, to] = Pick(kChanges, random);
  const size_t at = gold.text.find(from);
  if (at == std::string::npos || gold.Has("begin")) return std::nullopt;
  return Replaced(gold.text, {at, std::string_view(from).size()}, to);
}

// "[a, b)" as what says that x is elsewhere, or nowhere: with another end, or of two names.
Made OtherPlace(const Gold& gold, RandomStream& random) {
  const bool brackets = (gold.open == "(" || gold.open == "[") && gold.members.size() == 2;
  if (!brackets || gold.Has("=") || gold.Has("\\infty")) return std::nullopt;
  const std::string& low = gold.members[0];
  const std::string& high = gold.members[1];
  const bool above = gold.open == "(";
  const bool below = gold.close == ")";
  // One end or both are what they are not.
  const uint64_t ends = 1 + random.Below(3);
  const bool other_above = above != ((ends & 1) != 0);
  const bool other_below = below != ((ends & 2) != 0);
  switch (random.Below(7)) {
    case 0:
      return "x \\in " + std::string(other_above ? "(" : "[") + low + ", " + high +
             (other_below ? ")" : "]");
    case 1:
      return low + (other_above ? " < " : " \\leq ") + "x" + (other_below ? " < " : " \\leq ") +
             high;
    case 2:
      return "x < " + low + " \\text{ or } x > " + high;
    case 3:
      return "x = " + low + " \\text{ or } y = " + high;
    case 4:
      return "y = " + low + ", z = " + high;
    case 5:
      return above && below ? Made() : "x = " + low + ", y = " + high;
    default: {
      const Gold first = Describe(low);
      const Gold second = Describe(high);
      if (!first.integer || !second.integer || first.value == second.value) return std::nullopt;
      return "y = " + low + ", x = " + high;
    }
  }
}

Made OtherEquation(const Gold& gold, RandomStream& random) {
  const size_t equals = gold.text.find('=');
  if (equals == std::string::npos || gold.text.find('=', equals + 1) != std::string::npos ||
      gold.Has(",") || gold.Has("\\text") || gold.Has("<") || gold.Has(">") || gold.Has("leq") ||
      gold.Has("geq") || gold.Has("neq") || gold.HasPoint()) {
    return std::nullopt;
  }
  static constexpr const char* kBehind[] = {" + 1", " - x_9",  " + 10^{-50}", "\\cdot 2 + 7919",
                                            ", 0",  " = 7919", " \\neq 0 + 1"};
  static constexpr const char* kOperators[] = {"\\neq ", "< ", "> ", "\\leq ", "\\approx 1 + "};
  if (random.Below(2) == 0) return gold.text + Pick(kBehind, random);
  return Replaced(gold.text, {equals, 1}, Pick(kOperators, random));
}

Made OtherVariable(const Gold& gold, RandomStream& random) {
  if (!gold.expression || gold.variables.empty()) return std::nullopt;
  const char name = gold.variables[random.Below(gold.variables.size())];
  static constexpr const char* kNames[] = {"w", "Q",  "\\lambda ", "x_{7}", "e",       "i", "\\pi ",
                                           "1", "x'", "\\hat{x}",  "2.5",   "\\vec{y}"};
  std::string other = Pick(kNames, random);
  if (random.Below(4) == 0) {
    other = std::string(1, static_cast<char>(name ^ 0x20));  // the other case
  }
  if (other == std::string(1, name) || gold.text.find(other) != std::string::npos ||
      !IsLetter(name) || gold.Has("_")) {
    return std::nullopt;
  }
  // x - x would be the same with every name.
  const Gold changed = Describe(gold.text);
  if (changed.text.find('-') != std::string::npos && changed.variables.size() == 1 &&
      changed.text.size() < 4) {
    return std::nullopt;
  }
  return WithVariable(gold.text, name, other);
}

// e, i and pi are numbers.
Made ConstantAsVariable(const Gold& gold, RandomStream& random) {
  if (!gold.expression) return std::nullopt;
  switch (random.Below(3)) {
    case 0: {
      if (!gold.Has("\\pi") || gold.Has("sin") || gold.Has("cos") || gold.Has("tan")) {
        return std::nullopt;
      }
      static constexpr const char* kValues[] = {
          "p ", "(3.14159265358979)", "(22/7)", "x ", "(3) ", "\\Pi ", "P ", "\\rho "};
      return ReplacedAll(gold.text, "\\pi", Pick(kValues, random));
    }
    case 1: {
      static constexpr const char* kValues[] = {"w", "(2.718281828459045)", "E", "\\epsilon "};
      if (!gold.Has("e^")) return std::nullopt;  // "1e5" is a number
      const std::string changed = WithVariable(gold.text, 'e', Pick(kValues, random));
      return changed == gold.text ? Made() : changed;
    }
    default: {
      static constexpr const char* kValues[] = {"j", "I", "(-i)", "1", "w"};
      if (gold.Has("i^")) return std::nullopt;
      const std::string changed = WithVariable(gold.text, 'i', Pick(kValues, random));
      return changed == gold.text ? Made() : changed;
    }
  }
}

Made OtherSubscript(const Gold& gold, RandomStream& random) {
  const size_t at = gold.text.find('_');
  if (at == std::string::npos || at == 0 || !IsLetter(gold.text[at - 1]) || gold.Has("\\log_") ||
      gold.Has("\\text") || at + 1 >= gold.text.size() || !IsDigit(gold.text[at + 1])) {
    return std::nullopt;
  }
  static constexpr const char* kSubscripts[] = {"", "_{77}", "_{a}", "^{77}", "_{1,2}", "'_9"};
  return Replaced(gold.text, {at, 2}, Pick(kSubscripts, random));
}

}  // namespace

std::vector<Rule> RelationRules() {
  return {{"several answers", SeveralAnswers},  {"an equation to be solved", Unsolved},
          {"another name", OtherName},          {"another inequality", OtherInequality},
          {"another place", OtherPlace},        {"another equation", OtherEquation},
          {"another variable", OtherVariable},  {"a constant as a variable", ConstantAsVariable},
          {"another subscript", OtherSubscript}};
}

}  // namespace attnrl::fuzz
