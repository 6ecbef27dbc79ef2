// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/grader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/verifier/grading/testing/boxed.h"

namespace attnrl::verifier {
namespace {

struct Pair {
  const char* boxed;
  const char* accepted;
};

class SameAnswer : public testing::TestWithParam<Pair> {};
TEST_P(SameAnswer, IsAccepted) {
  GradeResult result = GradeBox(GetParam().boxed, GetParam().accepted);
  EXPECT_TRUE(result.correct) << GetParam().boxed << " for " << GetParam().accepted;
  EXPECT_EQ(result.status, GradeStatus::kGraded);
  EXPECT_EQ(result.matched, 0);
  EXPECT_EQ(result.extracted, GetParam().boxed);
}

INSTANTIATE_TEST_SUITE_P(Integers, SameAnswer,
                         testing::Values(Pair{"42", "42"}, Pair{"+42", "42"}, Pair{"42.0", "42"},
                                         Pair{"055", "55"}, Pair{"\\left( 42 \\right)", "42"},
                                         Pair{"\\;42\\;", "42"}, Pair{"\\mathbf{42}", "$42$"},
                                         Pair{"{{42}}", "42"}, Pair{"84/2", "42"},
                                         Pair{"40+2", "42"}, Pair{"6 \\cdot 7", "42"},
                                         Pair{"6(7)", "42"}, Pair{"2^{3}", "8"}, Pair{"-2^2", "-4"},
                                         Pair{"\u221242", "-42"}, Pair{"42.", "42"},
                                         Pair{"\\$42", "42"}, Pair{"x = 42", "42"},
                                         Pair{"--42", "42"}));
INSTANTIATE_TEST_SUITE_P(Thousands, SameAnswer,
                         testing::Values(Pair{"1,234", "1234"}, Pair{"1{,}234", "1234"},
                                         Pair{"1,\\!234,\\!567", "1234567"},
                                         Pair{"1\\,234", "1234"}, Pair{"1 234.5", "1234.5"},
                                         Pair{"12345", "12,345"}));
INSTANTIATE_TEST_SUITE_P(
    Fractions, SameAnswer,
    testing::Values(Pair{"\\frac{1}{2}", "1/2"}, Pair{"\\frac12", "0.5"},
                    Pair{"\\dfrac{3}{6}", "\\frac{1}{2}"}, Pair{"\\tfrac{1}{2}", ".50"},
                    Pair{"-\\frac{1}{2}", "\\frac{-1}{2}"}, Pair{"\\frac{1}{-2}", "-\\frac12"},
                    Pair{"\\frac { 1 } { 2 }", "\\frac{1}{2}"},
                    Pair{"2\\frac{1}{2}", "\\frac{5}{2}"}, Pair{"-2\\frac12", "-2.5"},
                    Pair{"2 1/2", "2.5"}, Pair{"4 \\cdot 7^{-1}", "\\frac{4}{7}"},
                    Pair{"\\frac{\\frac{1}{2}}{3}", "\\frac16"}, Pair{"0.1+0.2", "0.3"}));
INSTANTIATE_TEST_SUITE_P(Decimals, SameAnswer,
                         testing::Values(Pair{"1.50", "1.5"}, Pair{"1.2 \\times 10^{-3}", "0.0012"},
                                         Pair{"12 \\cdot 10^4", "120000"}, Pair{"20\\%", "0.2"},
                                         Pair{"17.5 \\%", "17.5%"}));
INSTANTIATE_TEST_SUITE_P(Others, SameAnswer,
                         testing::Values(Pair{"\\text{(B)}", "B"}, Pair{"\\text{ north }", "north"},
                                         Pair{"x^2+1", "x^{2}+1"}, Pair{"2\\pi", "2 \u03c0"},
                                         Pair{"(1, \\frac12)", "\\left(1,0.5\\right)"},
                                         Pair{"\\{2, 1\\}", "\\{1,2\\}"}, Pair{"1, 2", "1,2"},
                                         Pair{"[0,1)", "[0, 1)"}, Pair{"90^\\circ", "90^{\\circ}"},
                                         Pair{"1_6", "1_{6}"}, Pair{"\\sqrt2", "\\sqrt{2}"}));

INSTANTIATE_TEST_SUITE_P(Units, SameAnswer,
                         testing::Values(Pair{"5\\text{ cm}", "5"}, Pair{"90", "90^\\circ"},
                                         Pair{"90\\text{ degrees}", "90^{\\circ}"},
                                         Pair{"20", "20\\%"}, Pair{"20\\text{ percent}", "20\\%"},
                                         Pair{"864", "864 \\mbox{ inches}^2"},
                                         Pair{"\\frac{10}{2}\\mathrm{m/s}", "5\\text{ m/s}"},
                                         Pair{"90, 60^\\circ", "90^\\circ, 60^\\circ"}));

INSTANTIATE_TEST_SUITE_P(
    Sets, SameAnswer,
    testing::Values(Pair{"x\\in(2,\\infty)", "x>2"}, Pair{"x>2", "x\\in(2,\\infty)"},
                    Pair{"x\\in(2,3)", "2<x<3"}, Pair{"2<x<3", "x\\in(2,3)"},
                    Pair{"x\\in(2,3]", "3\\geq x>2"},
                    Pair{"x<2 \\text{ or } x>3", "(-\\infty,2)\\cup(3,\\infty)"},
                    Pair{"(3,\\infty)\\cup(-\\infty,2)", "x<2 \\text{ or } x>3"},
                    Pair{"x\\in(-\\infty,2)\\cup(3,\\infty)", "x<2 \\text{ or } x>3"},
                    Pair{"x<0 \\text{ or } 1\\leq x<2 \\text{ or } x>3",
                         "(-\\infty,0)\\cup[1,2)\\cup(3,\\infty)"},
                    Pair{"x<2 \\text{ or } x>3", "x>3, x<2"}, Pair{"1 \\text{ or } 2", "2, 1"},
                    Pair{"x=3, y=4", "(3,4)"}, Pair{"(3,4)", "x=3, y=4"},
                    Pair{"(1,2,3)", "z=3, x=1, y=2"}, Pair{"\\mathbb{R}", "(-\\infty,\\infty)"},
                    Pair{"(-\\infty,+\\infty)", "\\mathbb R"},
                    Pair{"-\\infty<x<\\infty", "x\\in\\mathbb{R}"}, Pair{"x/2", "f^{-1}(x)=x/2"},
                    Pair{"f^{-1}(x)=x/2", "\\frac{x}{2}"}));

class OtherAnswer : public testing::TestWithParam<Pair> {};
TEST_P(OtherAnswer, IsRefused) {
  GradeResult result = GradeBox(GetParam().boxed, GetParam().accepted);
  EXPECT_FALSE(result.correct) << GetParam().boxed << " for " << GetParam().accepted;
  EXPECT_EQ(result.matched, -1);
}

INSTANTIATE_TEST_SUITE_P(
    Numbers, OtherAnswer,
    testing::Values(Pair{"41", "42"}, Pair{"-42", "42"}, Pair{"4.2", "42"}, Pair{"420", "42"},
                    Pair{"42.0000001", "42"}, Pair{"42, 43", "42"}, Pair{"x = 41", "42"},
                    Pair{"0.333333333333", "\\frac{1}{3}"},
                    Pair{"9007199254740993", "9007199254740992"}, Pair{"10^{-20}", "0"},
                    Pair{"10^{-20}", "10^{-21}"}, Pair{"1,2345", "12345"}, Pair{"2,0880", "2880"},
                    Pair{"1,234", "1.234"}, Pair{"\\frac{2\\cdot 1}{2}", "2\\frac12"},
                    Pair{"1 2", "12"}, Pair{"4.2.0", "42"}, Pair{"1/2(3)", "1.5"},
                    Pair{"2:1", "\\frac{1}{2}"}, Pair{"42!", "42"}, Pair{"5%", "5"}));
INSTANTIATE_TEST_SUITE_P(
    Sets, OtherAnswer,
    testing::Values(Pair{"x\\in[2,\\infty)", "x>2"}, Pair{"y\\in(2,\\infty)", "x>2"},
                    Pair{"x\\in(2,3]", "2<x<3"}, Pair{"2\\leq x<3", "x\\in(2,3)"},
                    Pair{"x\\in\\{2,3\\}", "2<x<3"}, Pair{"x\\in(2,3)", "x=2, y=3"},
                    Pair{"x\\notin(2,3)", "2<x<3"},
                    Pair{"t<2 \\text{ or } t>3", "x\\in(-\\infty,2)\\cup(3,\\infty)"},
                    Pair{"x<2 \\text{ and } x>3", "(-\\infty,2)\\cup(3,\\infty)"},
                    Pair{"x<2, x>3", "(-\\infty,2)\\cup(3,\\infty)"},
                    Pair{"x<0, x>1 \\text{ or } x>3",
                         "(-\\infty,0)\\cup(1,\\infty)\\cup(3,\\infty)"},
                    Pair{"x<2 \\text{ or } x\\geq 3", "(-\\infty,2)\\cup(3,\\infty)"},
                    Pair{"x<2 \\text{ or } y>3", "(-\\infty,2)\\cup(3,\\infty)"},
                    Pair{"x<2 \\text{ or } x>3", "(-\\infty,2)\\cap(3,\\infty)"},
                    Pair{"x<2 \\text{ or } 2x>6", "(-\\infty,2)\\cup(3,\\infty)"},
                    Pair{"x<2 \\text{ or } x>3", "(-\\infty,2)"}, Pair{"x=3, y=4", "[3,4]"},
                    Pair{"x=3, y=4", "(4,3)"}, Pair{"y=3, z=4", "(3,4)"}, Pair{"a=3, b=4", "(3,4)"},
                    Pair{"x=3 \\text{ or } y=4", "(3,4)"}, Pair{"x=3, x=4", "(3,4)"},
                    Pair{"x=3, y=4, z=5", "(3,4)"}, Pair{"(3,4)", "a=3, b=4"},
                    Pair{"(4,3)", "x=3, y=4"}, Pair{"[3,4)", "x=3, y=4"},
                    Pair{"R", "(-\\infty,\\infty)"}, Pair{"[-\\infty,\\infty)", "\\mathbb{R}"},
                    Pair{"(\\infty,-\\infty)", "\\mathbb{R}"},
                    Pair{"(-\\infty,\\infty)", "\\mathbb{N}"}, Pair{"2x", "f^{-1}(x)=x/2"},
                    Pair{"f(x)=x/2", "f^{-1}(x)=x/2"}, Pair{"f^{-1}(x)=x/2", "f(x)=x/2"},
                    Pair{"x/f", "f^{-1}(x)"}));
INSTANTIATE_TEST_SUITE_P(Units, OtherAnswer,
                         testing::Values(Pair{"5\\text{ m}", "5\\text{ cm}"},
                                         Pair{"5\\text{ or }6", "5"},
                                         Pair{"5\\text{ or more}", "5"}, Pair{"5\\mathrm{i}", "5"},
                                         Pair{"5m", "5"}, Pair{"5\\%", "5"}, Pair{"2", "20\\%"},
                                         Pair{"5\\text{ cm}^2", "5\\text{ cm}^3"},
                                         Pair{"\\text{not }5", "5"}, Pair{"5\\text{ cm }6", "5"},
                                         Pair{"90", "9^\\circ"}));
INSTANTIATE_TEST_SUITE_P(
    Nonsense, OtherAnswer,
    testing::Values(Pair{"", "0"}, Pair{" ", ""}, Pair{"\\,\\;", "0"}, Pair{"\\frac{1}{0}", "42"},
                    Pair{"0^0", "1"}, Pair{"0^{-1}", "0"}, Pair{"1/0", "\\frac{2}{0}"},
                    Pair{"\\infty-\\infty", "0"}, Pair{"0\\cdot\\infty", "0"}, Pair{"1+", "1"},
                    Pair{"+", "0"}, Pair{"()", "0"}, Pair{"\\frac{}{}", "1"}, Pair{"\\frac", "1"},
                    Pair{"42; print(1)", "42"}, Pair{"\\undefined{42}", "42"},
                    Pair{"\\text{correct}", "42"}, Pair{"not even", "even"}, Pair{"AB", "BA"},
                    Pair{"X", "x"}, Pair{"(1,2)", "(2,1)"}, Pair{"\\{1,1,2\\}", "\\{1,2,2\\}"},
                    Pair{"[0,1]", "[0,1)"}, Pair{"1_6", "1_7"}, Pair{"x^2", "x2"},
                    Pair{"\\sqrt{2}3", "\\sqrt{23}"}, Pair{"\\overline{A}B", "\\overline{AB}"}));

TEST(Grade, AnyAcceptedAnswerSuffices) {
  GradeResult result = Grade({"7", "\\boxed{0.5}", {"1", "{", "\\frac12", "0.5 "}});
  EXPECT_TRUE(result.correct);
  EXPECT_EQ(result.id, "7");
  EXPECT_EQ(result.matched, 3);  // the same text is looked for first
  EXPECT_EQ(Grade({"7", "\\boxed{.50}", {"1", "{", "\\frac12", "0.5"}}).matched, 2);
}

TEST(Grade, SaysWhatIsMissing) {
  EXPECT_EQ(Grade({"", "no box", {"42"}}).status, GradeStatus::kNoAnswer);
  EXPECT_EQ(GradeBox("", "42").status, GradeStatus::kUnparsable);
  EXPECT_EQ(GradeBox("\\frac{1}", "42").status, GradeStatus::kUnparsable);
  EXPECT_EQ(GradeBox("\xff", "42").status, GradeStatus::kUnparsable);
  EXPECT_EQ(GradeBox("41", "42").status, GradeStatus::kGraded);
}

TEST(Grade, ANulByteIsNotNothing) {
  EXPECT_FALSE(GradeBox(std::string("4\0002", 3), "42").correct);
  EXPECT_FALSE(GradeBox(std::string("42\0", 3), "42").correct);
}

TEST(Grade, CountedLimitsRefuseWhatIsTooDeepLongOrLarge) {
  EXPECT_EQ(GradeBox(Repeated("\\frac{", 5000) + "1" + Repeated("}{2}", 5000), "42").status,
            GradeStatus::kLimit);
  EXPECT_EQ(GradeBox(Repeated("(1+", 10000) + "41" + Repeated(")", 10000), "42").status,
            GradeStatus::kLimit);
  EXPECT_EQ(GradeBox(Repeated("x", 1 << 20), "42").status, GradeStatus::kLimit);
  EXPECT_EQ(GradeBox("9^{9^{9^{9}}}", "42").status, GradeStatus::kLimit);
  EXPECT_EQ(GradeBox("(10^{9})!", "42").status, GradeStatus::kLimit);
  EXPECT_EQ(GradeBox(Repeated("1,", 50000) + "1", "1").status, GradeStatus::kLimit);
  EXPECT_EQ(Grade({"", Repeated("x", 17 << 20), {"42"}}).status, GradeStatus::kLimit);
}

TEST(Grade, TheSameTextIsTheSameAnswerWhateverItsSize) {
  std::string digits = Repeated("9", 1 << 20);
  EXPECT_TRUE(GradeBox(digits, digits).correct);
  EXPECT_FALSE(GradeBox(digits + "8", digits).correct);
}

TEST(Grade, LargePowersAreDecidedWithoutTheirDigits) {
  EXPECT_EQ(GradeBox("7^{999999}", "42").status, GradeStatus::kGraded);
  EXPECT_FALSE(GradeBox("7^{999999}", "7^{999998}").correct);
  EXPECT_TRUE(GradeBox("7^{99999}", "7 \\cdot 7^{99998}").correct);
  EXPECT_FALSE(GradeBox("9^{9^{6}}", "9^{9^{6}}+1").correct);
}

TEST(Grade, LongNumbersAreExact) {
  std::string nines = Repeated("9", 50000);
  EXPECT_TRUE(GradeBox("+" + nines, nines).correct);
  EXPECT_FALSE(GradeBox("+" + nines.substr(1) + "8", nines).correct);
  EXPECT_FALSE(GradeBox("0." + Repeated("3", 50000), "\\frac13").correct);
}

TEST(Grade, ParenthesesThatMeanNothingCostLittle) {
  EXPECT_TRUE(GradeBox(Repeated("(", 5000) + "42" + Repeated(")", 5000), "42").correct);
  EXPECT_TRUE(
      GradeBox(Repeated("\\left(", 4000) + "1,2" + Repeated("\\right)", 4000), "(1,2)").correct);
  EXPECT_FALSE(GradeBox(Repeated("(", 5000) + "41" + Repeated(")", 5000), "42").correct);
  EXPECT_FALSE(GradeBox("((1,2))", "1,2").correct);
}

TEST(Grade, HugeExpressionsEndAndAreNotAccepted) {
  for (const char* boxed : {"9^{9^{9^{9}}}", "2^{2^{2^{2^{2^2}}}}", "0.1^{999999999}",
                            "10^{10^{10}}", "(9^{9})^{9^{9}}", "1^{99999999999999999999}"}) {
    EXPECT_FALSE(GradeBox(boxed, "42").correct) << boxed;
  }
  EXPECT_FALSE(GradeBox(Repeated("-", 10001) + "42", "42").correct);
  EXPECT_FALSE(GradeBox(Repeated("1,", 50000) + "1", "1").correct);
  EXPECT_FALSE(GradeBox(Repeated("100 ", 20000) + "5", "1").correct);
}

TEST(Grade, SuspiciousOrderOfAnswersDecidesNothing) {
  // The first accepted answer is out of bounds for the comparison, the second one is right.
  GradeResult result = Grade({"", "\\boxed{3^{2}}", {"7^{999999}", "9"}});
  EXPECT_TRUE(result.correct);
  EXPECT_EQ(result.status, GradeStatus::kGraded);
}

}  // namespace
}  // namespace attnrl::verifier
