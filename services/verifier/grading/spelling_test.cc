// SPDX-License-Identifier: Apache-2.0
// Ways to write one answer: all spellings within a class are equal, those of two classes never.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "services/verifier/grading/grader.h"
#include "services/verifier/grading/testing/boxed.h"

namespace attnrl::verifier {
namespace {

const std::vector<std::vector<std::string>> kClasses = {
    {"42",       "+42",           "042",       "42.0",
     "42.",      "$42$",          "(42)",      "\\left(42\\right)",
     "84/2",     "\\frac{84}{2}", "6\\cdot 7", "6\u00d77",
     "6(7)",     "(6)(7)",        "--42",      "4.2\\cdot10^1",
     "43-1",     "\\mathbf{42}",  "x=42",      "\\displaystyle 42",
     "\\,42\\;", "4200\\%"},
    {"-42", "\u221242", "\u201342", "-(42)", "(-42)", "-84/2", "\\frac{84}{-2}", "-6\\times7",
     "y = -42"},
    {"0", "0.0", "-0", ".0", "0/7", "1-1", "0\\cdot 5", "\\frac{0}{3}"},
    {"1", "1.000", "2^0", "\\frac{7}{7}", "(-1)^2", "(-1)^{-2}", "100\\%"},
    {"1/2", "0.5", ".5", "0.50", "\\frac12", "\\frac{1}{2}", "\\tfrac12", "\\cfrac{1}{2}", "2^{-1}",
     "50/100", "\\frac{0.5}{1}", "-\\frac{-1}{2}", "1/(2)", "\\frac{1}2", "\\frac1{2}"},
    {"5/2", "2.5", "2\\frac12", "2 1/2", "2\\,\\frac{1}{2}", "\\frac52", "10\\div 4", "2+1/2"},
    {"1234567", "1,234,567", "1{,}234{,}567", "1,\\!234,\\!567", "1 234 567", "1\\,234\\,567",
     "1\u202f234\u202f567", "1.234567\\cdot 10^{6}", "1,234,567.00", "01234567"},
    {"1234.567", "1,234.567", "1{,}234.567", "1\\;234.567", "\\frac{1234567}{1000}"},
    {"\\pi", "\u03c0", "{\\pi}", "$\\pi$", "\\boldsymbol{\\pi}"},
    {"2\\pi", "2 \\pi", "2\u03c0", "2.0\\pi"},
    {"x^2", "x^{2}", "x ^ 2", "x^{{2}}", "{x}^2"},
    {"x_2", "x_{2}"},
    {"\\sqrt2", "\\sqrt{2}", "\\sqrt {2}"},
    {"\\sqrt[3]2", "\\sqrt[3]{2}", "\\sqrt [ 3 ] {2}"},
    {"\\{1,2\\}", "\\{2,1\\}", "\\lbrace 1, 2 \\rbrace", "\\left\\{2,1\\right\\}",
     "\\{\\frac42,1.0\\}"},
    {"(1,2)", "(1, 2)", "\\left(1,2\\right)", "(1.0,4/2)", "\\lparen 1,2\\rparen"},
    {"(2,1)", "(2, 1.0)"},
    {"[1,2]", "\\lbrack 1,2\\rbrack", "\\left[1,2\\right]"},
    {"[1,2)", "\\left[1, 2\\right)"},
    {"(1,2]", "(1, 2.0]"},
    {"x\\leq 3", "x\\le 3", "x\\leqslant3", "x \u2264 3"},
    {"x\\approx 3", "x \u2248 3"},
    {"x<3", "x\\lt 3", "x < 3", "3 > x", "(-\\infty,3)", "(-\u221e, 3)",
     "\\left(-\\infty,3.0\\right)"},
    {"\\infty", "\u221e", "{\\infty}"},
    {"\\emptyset", "\\varnothing", "\u2205"},
    {"A\\cup B", "A \u222a B"},
    {"\\binom{4}{2}", "\\dbinom42", "\\tbinom{4}2"},
    {"north", "\\text{north}", "\\text{ north }", "\\mbox{north}", "\\textbf{north}", "North",
     "\\text{North}"},
};

TEST(Spellings, OfOneClassAreEqualInBothDirections) {
  for (const std::vector<std::string>& spellings : kClasses) {
    for (const std::string& boxed : spellings) {
      for (const std::string& accepted : spellings) {
        // Who asks for a number gets no percentage.
        if (boxed.ends_with("%") && !accepted.ends_with("%")) continue;
        EXPECT_TRUE(Accepted(boxed, accepted)) << boxed << " for " << accepted;
      }
    }
  }
}

TEST(Spellings, OfDifferentClassesAreNeverEqual) {
  for (const auto& given : kClasses) {
    for (const auto& wanted : kClasses) {
      if (&given == &wanted) continue;
      for (const std::string& boxed : given) {
        for (const std::string& accepted : wanted) {
          EXPECT_FALSE(Accepted(boxed, accepted)) << boxed << " for " << accepted;
        }
      }
    }
  }
}

int64_t Between(RandomStream& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random.Below(static_cast<uint64_t>(high - low + 1)));
}

struct Fraction {
  int64_t over;
  int64_t under;
};

// One of the ways to write it, by chance.
std::string Spelled(const Fraction& value, RandomStream& random) {
  const std::string sign = value.over < 0 ? "-" : "";
  const int64_t over = std::abs(value.over);
  const std::string n = std::to_string(over);
  const std::string d = std::to_string(value.under);
  switch (random.Below(7)) {
    case 0:
      return sign + "\\frac{" + n + "}{" + d + "}";
    case 1:
      return sign + n + "/" + d;
    case 2:
      return sign + n + "\\cdot " + d + "^{-1}";
    case 3:
      return "\\frac{" + sign + n + ".0}{0" + d + "}";
    case 4:  // a mixed number
      if (over / value.under == 0 || over % value.under == 0) return "(" + sign + n + ")/" + d;
      return sign + std::to_string(over / value.under) + "\\frac{" +
             std::to_string(over % value.under) + "}{" + d + "}";
    case 5:
      return sign + "\\frac{" + std::to_string(2 * over) + "}{" + d + "+" + d + "}";
    default:
      return sign + "(" + n + "-1)/" + d + (value.over < 0 ? "-" : "+") + "1/" + d;
  }
}

TEST(Spellings, OfFractionsAreEqualExactlyWhereTheirCrossProductsAre) {
  RandomStream random({.seed = 3});
  int equal = 0;
  for (int round = 0; round < 4000; ++round) {
    const Fraction a = {Between(random, -12, 12), Between(random, 1, 6)};
    const Fraction b = {Between(random, -12, 12), Between(random, 1, 6)};
    const bool same = a.over * b.under == b.over * a.under;
    equal += same ? 1 : 0;
    const std::string boxed = Spelled(a, random);
    const std::string accepted = Spelled(b, random);
    EXPECT_EQ(Accepted(boxed, accepted), same) << boxed << " for " << accepted;
  }
  EXPECT_GT(equal, 40);  // both sides of the claim were tried
}

TEST(Spellings, OfThousandsNeedGroupsOfThreeAndOneKindOfSeparator) {
  RandomStream random({.seed = 4});
  const std::vector<std::string> separators = {",", "{,}", "\\,", " ", ",\\!"};
  for (int round = 0; round < 1000; ++round) {
    std::vector<std::string> groups = {std::to_string(Between(random, 1, 999))};
    for (int64_t more = Between(random, 1, 4); more > 0; --more) {
      groups.push_back(std::to_string(Between(random, 1000, 1999)).substr(1));
    }
    const std::string& separator = separators[random.Below(separators.size())];
    const auto joined = [&groups](const std::string& between) {
      std::string text = groups[0];
      for (size_t i = 1; i < groups.size(); ++i) text += between + groups[i];
      return text;
    };
    EXPECT_TRUE(Accepted(joined(separator), joined(""))) << joined(separator);
    std::string& broken = groups[1 + random.Below(groups.size() - 1)];
    broken = random.Below(2) == 0 ? broken.substr(1) : broken + "5";
    EXPECT_FALSE(Accepted(joined(separator), joined(""))) << joined(separator);
  }
}

}  // namespace
}  // namespace attnrl::verifier
