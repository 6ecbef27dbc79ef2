// SPDX-License-Identifier: Apache-2.0
// What holds for every answer: seeded expressions of all kinds, and answers that are made to cost
// much.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/philox.h"
#include "services/verifier/grading/grader.h"
#include "services/verifier/grading/testing/boxed.h"

namespace attnrl::verifier {
namespace {

// An expression of integers, variables, roots and functions, as people write it; tokens are apart
// by one space.
std::string Drawn(RandomStream& random, int depth) {
  if (depth == 0 || random.Below(4) == 0) {
    constexpr const char* kLeaves[] = {"x", "y", "2", "3", "7", "n", "\\pi", "10", "a", "5"};
    return kLeaves[random.Below(std::size(kLeaves))];
  }
  const std::string a = Drawn(random, depth - 1);
  const std::string b = Drawn(random, depth - 1);
  switch (random.Below(8)) {
    case 0:
      return "( " + a + " ) + ( " + b + " )";
    case 1:
      return "( " + a + " ) - ( " + b + " )";
    case 2:
      return "( " + a + " ) \\cdot ( " + b + " )";
    case 3:
      return "\\frac { " + a + " } { " + b + " }";
    case 4:
      return "\\sqrt { ( " + a + " ) ^ { 2 } + 3 }";
    case 5:
      return "( " + a + " ) ^ { 2 }";
    case 6:
      return "\\sin ( " + a + " )";
    default:
      return "\\ln ( ( " + b + " ) ^ { 2 } + 2 )";
  }
}

std::string Spaced(std::string_view text, std::string_view space) {
  std::string out;
  for (const char c : text) out += c == ' ' ? std::string(space) : std::string(1, c);
  return out;
}

std::vector<std::string> Answers() {
  std::vector<std::string> answers = {"( 1 , 2 )",
                                      "[ 0 , 1 )",
                                      "\\{ 1 , 2 , 5 \\}",
                                      "1 , 2 , 3",
                                      "x = 5",
                                      "y = 2 x - 3",
                                      "x > 5",
                                      "- 1 \\leq x < 3",
                                      "3 : 1",
                                      "20 \\%",
                                      "1 \\pm \\sqrt 2",
                                      "2215 _ 6",
                                      "\\text{Saturday}",
                                      "90 ^ \\circ",
                                      "5 \\text{ cm}",
                                      "0.5",
                                      "3.14",
                                      "- \\frac { 7 } { 11 }",
                                      "\\infty",
                                      "\\emptyset",
                                      "( 0 , 1 ) \\cup ( 2 , 3 )",
                                      "x ^ 2 + y ^ 2 = 25",
                                      "f ( 2 x )",
                                      "3 + 4 i"};
  RandomStream random({.seed = 11});
  for (int i = 0; i < 150; ++i) answers.push_back(Drawn(random, 3));
  return answers;
}

TEST(Properties, EveryAnswerEqualsItself) {
  for (const std::string& answer : Answers()) {
    const GradeResult result = GradeBox("{}" + answer, answer);
    EXPECT_TRUE(result.correct) << answer << " " << StatusName(result.status);
  }
}

TEST(Properties, SpacesBetweenTokensMeanNothing) {
  for (const std::string& answer : Answers()) {
    for (const char* space : {"\n", "  ", "\t", " \r\n"}) {
      if (answer.find("text") != std::string::npos) continue;
      EXPECT_TRUE(Accepted(Spaced(answer, space), answer)) << answer;
    }
  }
}

// Only who asks for digits may get more of them, and percentages and units go one way, too.
TEST(Properties, ExpressionsAreEqualInBothDirectionsOrInNone) {
  RandomStream random({.seed = 12});
  int equal = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string a = Drawn(random, 1);
    const std::string b = Drawn(random, 1);
    const bool same = Accepted(a, b);
    EXPECT_EQ(same, Accepted(b, a)) << a << " and " << b;
    equal += same ? 1 : 0;
  }
  EXPECT_GT(equal, 20);
}

TEST(Properties, AnotherTermIsAnotherAnswer) {
  RandomStream random({.seed = 13});
  for (int i = 0; i < 150; ++i) {
    const std::string answer = Drawn(random, 3);
    for (const char* term : {" + 1", " - 10 ^ { - 40 }", " + \\sqrt { x ^ 2 + 1 }"}) {
      EXPECT_FALSE(Accepted(answer + term, answer)) << answer << term;
    }
  }
}

TEST(Properties, TwoIntegersAreNeverEqual) {
  RandomStream random({.seed = 14});
  for (int i = 0; i < 4000; ++i) {
    const auto draw = [&random] {
      std::string digits = std::to_string(1 + random.Below(9));
      for (uint64_t more = random.Below(40); more > 0; --more) {
        digits += static_cast<char>('0' + random.Below(10));
      }
      return (random.Below(2) == 0 ? "-" : "") + digits;
    };
    const std::string a = draw();
    std::string b = random.Below(2) == 0 ? draw() : a;
    b.back() = static_cast<char>('0' + random.Below(10));
    EXPECT_EQ(Accepted("+" + a, b), a == b) << a << " and " << b;
  }
}

struct Costly {
  const char* name;
  std::string answer;
};

std::string Sum(const char* before, const char* behind, int first, int last) {
  std::string sum = "0";
  for (int i = first; i <= last; ++i) sum += "+" + (before + std::to_string(i)) + behind;
  return sum;
}

std::vector<Costly> MadeToCostMuch() {
  return {
      {"a tower of powers", "9^{9^{9^9}}"},
      {"nested parentheses", Repeated("(", 10000) + "41" + Repeated(")", 10000)},
      {"nested sums", Repeated("(1+", 10000) + "41" + Repeated(")", 10000)},
      {"nested roots", Repeated("\\sqrt{", 5000) + "1" + Repeated("}", 5000)},
      {"nested degrees of roots", Repeated("\\sqrt[", 9000) + "1"},
      {"nested powers", "x" + Repeated("^x", 9000)},
      {"a megabyte", Repeated("x", 1 << 20)},
      {"many digits", Repeated("7", 60000)},
      {"many digits below", "1/" + Repeated("7", 60000)},
      {"many digits repeated", "0.\\overline{" + Repeated("7", 60000) + "}"},
      {"the factorial of a large number", "(10^9)!"},
      {"a sum of factorials", Sum("", "!", 19000, 19500)},
      {"a sum of fractions", Sum("\\frac{1}{", "!+1}", 3000, 3100)},
      {"fractions of many digits", Sum("(7/3)^{", "}", 100000, 100100)},
      {"the binomial of large numbers", "\\binom{10^{100}}{10^{50}}"},
      {"a sine of a large number", "\\sin(10^{100000})"},
      {"a sum of roots", Sum("\\sqrt{", "}", 2, 3000)},
      {"a sum of logarithms", Sum("\\ln ", "", 2, 3000)},
      {"a root of a huge degree", "\\sqrt[10^{20}]{2}"},
      {"gamma of an inexact number", "(10^{-300}\\sqrt{2})!"},
      {"factorials of factorials", "3" + Repeated("!", 50000)},
      {"signs", Repeated("-", 60000) + "41"},
      {"currencies", Repeated("\\$", 30000) + "41"},
      {"number words", "3" + Repeated(" million", 8000)},
      {"members", Repeated("1,", 30000) + "1"},
      {"thousands", Repeated("100 ", 16000) + "5"},
      {"variables", Sum("x_{", "}", 1, 5000)},
      {"a common divisor", "\\gcd(7^{600000}+1, 7^{500000}+1)"},
      {"sums of sums", Repeated("\\sum_{k=1}^{1000} ", 180) + "k"},
      {"sums that nobody writes out", Repeated("\\sum_{k=1}^{n} ", 180) + Sum("x_{", "}", 1, 5000)},
      {"products of factorials", "\\prod_{k=1}^{1000} (1000+k)!"},
      {"powers of matrices", Repeated("(", 20) +
                                 "\\begin{pmatrix} x & 2 \\\\ 3 & y \\end{pmatrix}" +
                                 Repeated(")^6", 20)},
      {"sums of matrices", Repeated("\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix} + (", 180) +
                               "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}" +
                               Repeated(")", 180)},
      {"products of matrices", Repeated("\\begin{pmatrix} x & 2 \\\\ 3 & y \\end{pmatrix}", 1500)},
      {"points said again", "\\{" + Repeated("(1, \\sqrt{2}), (2, \\sqrt{3}), ", 2000) + "1\\}"},
      {"boxes", "1}" + Repeated(", \\boxed{1}", 30000) + ", \\boxed{2"},
      {"NUL bytes", std::string(5000, '\0') + "41"},
      {"marks from right to left", Repeated("\u202e", 5000) + "14"}};
}

TEST(Properties, WhatIsMadeToCostMuchEndsAndIsNoReward) {
  for (const Costly& costly : MadeToCostMuch()) {
    for (const char* wanted : {"42", "\\sqrt{2}", "x", "1, 2", "x = 5", "3.14"}) {
      const GradeResult result = GradeBox(costly.answer, wanted);
      EXPECT_FALSE(result.correct) << costly.name << " for " << wanted;
      EXPECT_TRUE(IsVerdict(result.status)) << costly.name << " for " << wanted;
    }
  }
}

// With less work fewer right answers are found, and no wrong ones.
TEST(Properties, NoLimitTurnsAWrongAnswerIntoARightOne) {
  const std::pair<const char*, const char*> kPairs[] = {{"\\sqrt{12}", "2\\sqrt{3}+10^{-30}"},
                                                        {"(x+1)^2", "x^2+2x"},
                                                        {"1,2,3", "3,2,2"},
                                                        {"x^2+y^2=25", "x^2+2y^2=25"},
                                                        {"0.333", "1/3"},
                                                        {"[1,2)", "[1,2]"},
                                                        {"\\sin x", "\\cos x"},
                                                        {"5\\text{ m}", "5\\text{ cm}"},
                                                        {"\\frac{10^{40}+1}{10^{40}}", "1"},
                                                        {"2x=10", "x=5"}};
  for (const auto& [boxed, wanted] : kPairs) {
    const std::string response = std::string("\\boxed{") + boxed + "}";
    for (int64_t work = 0; work < 4000; work += 1 + work / 16) {
      for (const int depth : {0, 1, 2, 3, 200}) {
        const GradeResult result = Grade({"", response, {wanted}}, {.depth = depth, .work = work});
        EXPECT_FALSE(result.correct) << boxed << " for " << wanted << " with " << work;
      }
    }
  }
}

}  // namespace
}  // namespace attnrl::verifier
