// SPDX-License-Identifier: Apache-2.0
// Each counted limit one below, at, and one above its bound.
#include "services/verifier/limits.h"

#include <gtest/gtest.h>

#include <string>

#include "services/verifier/grading/grader.h"
#include "services/verifier/grading/testing/boxed.h"

namespace attnrl::verifier {
namespace {

GradeStatus StatusOf(const std::string& boxed, const std::string& accepted, const Limits& limits) {
  return Grade({"", Boxed(boxed), {accepted}}, limits).status;
}

TEST(Work, IsSpentToTheLastStep) {
  Work work(3);
  EXPECT_TRUE(work.Spend(2));
  EXPECT_TRUE(work.Spend(1));
  EXPECT_TRUE(work.Spend(0));
  EXPECT_FALSE(work.exhausted());
  EXPECT_FALSE(work.Spend(1));
  EXPECT_TRUE(work.exhausted());
}

TEST(Work, StaysUsedUp) {
  Work work(3);
  EXPECT_FALSE(work.Spend(4));
  EXPECT_FALSE(work.Spend(0));
  Work other(3);
  other.Exhaust();
  EXPECT_FALSE(other.Spend(1));
}

TEST(Limits, OfTheWholeResponse) {
  const std::string response = "so " + Boxed("42");
  for (const size_t above : {size_t{1}, size_t{0}}) {
    const GradeResult result =
        Grade({"", response, {"42"}}, {.response_bytes = response.size() + above});
    EXPECT_TRUE(result.correct) << above;
  }
  const GradeResult result = Grade({"", response, {"42"}}, {.response_bytes = response.size() - 1});
  EXPECT_EQ(result.status, GradeStatus::kLimit);
  EXPECT_EQ(result.extracted, "");  // not even looked at
}

TEST(Limits, OfTheAnswerAreNotThoseOfTheTextAroundIt) {
  const Limits limits = {.answer_bytes = 6};
  EXPECT_EQ(Grade({"", Repeated("x", 100) + Boxed("1/2"), {"0.5"}}, limits).status,
            GradeStatus::kGraded);
  EXPECT_EQ(StatusOf("2.500", "5/2", limits), GradeStatus::kGraded);
  EXPECT_EQ(StatusOf("2.5000", "5/2", limits), GradeStatus::kGraded);
  EXPECT_EQ(StatusOf("2.50000", "5/2", limits), GradeStatus::kLimit);
  EXPECT_EQ(StatusOf("  2.5000\n", "5/2", limits), GradeStatus::kGraded);  // its space is free
  EXPECT_EQ(StatusOf("2.50000", "2.50000", limits), GradeStatus::kGraded);
}

TEST(Limits, OfAnAcceptedAnswerSayNothingAboutTheResponse) {
  const Limits limits = {.answer_bytes = 6};
  EXPECT_TRUE(Grade({"", Boxed("2.5"), {"2.5000"}}, limits).correct);
  const GradeResult result = Grade({"", Boxed("2.5"), {"2.50000"}}, limits);
  EXPECT_EQ(result.status, GradeStatus::kGraded);
  EXPECT_FALSE(result.correct);
  EXPECT_EQ(Grade({"", Boxed("2.5"), {"2.50000", "5/2"}}, limits).matched, 1);
}

TEST(Limits, OfTheExtractedTextCutNoCharacter) {
  const auto extracted = [](size_t bytes) {
    return Grade({"", Boxed("ab\u221ec"), {"1"}}, {.extracted_bytes = bytes}).extracted;
  };
  EXPECT_EQ(extracted(0), "");
  EXPECT_EQ(extracted(2), "ab");
  EXPECT_EQ(extracted(4), "ab");
  EXPECT_EQ(extracted(5), "ab\u221e");
  EXPECT_EQ(extracted(6), "ab\u221ec");
  EXPECT_EQ(extracted(7), "ab\u221ec");
}

struct Nesting {
  const char* name;
  const char* open;
  const char* close;
};

class NestingLimit : public testing::TestWithParam<Nesting> {};

TEST_P(NestingLimit, IsMetByExactlySoManyLevels) {
  const Nesting& nesting = GetParam();
  constexpr int kDepth = 9;
  const auto status = [&](int levels) {
    const std::string nested =
        Repeated(nesting.open, levels) + "1" + Repeated(nesting.close, levels);
    return StatusOf(nested + "+1", "7", {.depth = kDepth});
  };
  EXPECT_EQ(status(1), GradeStatus::kGraded);
  EXPECT_EQ(status(kDepth - 1), GradeStatus::kGraded);
  EXPECT_EQ(status(kDepth), GradeStatus::kGraded);
  EXPECT_EQ(status(kDepth + 1), GradeStatus::kLimit);
}

INSTANTIATE_TEST_SUITE_P(
    Nestings, NestingLimit,
    testing::Values(Nesting{"Braces", "{", "}"}, Nesting{"Numerators", "\\frac{", "}{2}"},
                    Nesting{"Denominators", "\\frac{2}{", "}"}, Nesting{"Roots", "\\sqrt{", "}"},
                    Nesting{"Exponents", "1^{", "}"}, Nesting{"Texts", "\\text{", "}"},
                    Nesting{"Parentheses", "(1+", ")"}),
    [](const auto& instance) { return instance.param.name; });

// Parentheses, each with so many factorials behind it that they alone are within the limit.
std::string Factorials(int levels, int depth) {
  std::string nested = "3";
  for (int i = 0; i < levels; ++i) nested = "(" + nested + Repeated("!!", depth - levels + i) + ")";
  return nested;
}

TEST(Limits, OfNestingHoldForOperationsBehindParenthesesToo) {
  for (const int levels : {2, 4, 16, 40, 110, 190}) {
    EXPECT_EQ(StatusOf(Factorials(levels, 200), "7", {}), GradeStatus::kLimit) << levels;
    EXPECT_EQ(StatusOf("x" + Factorials(levels, 200), "x", {}), GradeStatus::kLimit) << levels;
  }
  EXPECT_EQ(StatusOf("3" + Repeated("!!", 300), "7", {}), GradeStatus::kLimit);
  EXPECT_EQ(StatusOf("(3" + Repeated("!!", 150) + ")" + Repeated("!^2", 150), "7", {}),
            GradeStatus::kLimit);
}

TEST(Limits, OfNestingAreNotMetByOperationsBesideEachOther) {
  EXPECT_TRUE(Grade({"", Boxed("1!" + Repeated("+1!", 299)), {"300"}}).correct);
  EXPECT_TRUE(Grade({"", Boxed("1!" + Repeated("\\cdot 1!", 299)), {"1"}}).correct);
  EXPECT_TRUE(Grade({"", Boxed("((3!))!"), {"720"}}).correct);
}

// What takes work of different kinds: tokens, long products, powers, sums, sets, parentheses. The
// accepted answers are the shorter ones: reading one that is out of bounds is no fault of the
// response.
const std::pair<std::string, std::string> kCostly[] = {
    {"\\frac{1}{2}+3", "3.5"},
    {Repeated("7", 90) + "\\cdot" + Repeated("3", 90), "1"},
    {"3^{199}\\cdot 3", "3^{200}"},
    {"1" + Repeated("+1", 50), "51"},
    {"\\{1,2,3,4,5\\}", "\\{5,4,3,2,1\\}"},
    {Repeated("(", 20) + "1,2" + Repeated(")", 20), "(1,2.0)"},
    {"5\\text{ cm}", "5.0"},
};

TEST(Limits, OfWorkAreMetAtOneNumberOfStepsForEveryPair) {
  for (const auto& [boxed, accepted] : kCostly) {
    const auto enough = [&](int64_t work) {
      return StatusOf(boxed, accepted, {.work = work}) == GradeStatus::kGraded;
    };
    int64_t least = 0;
    while (!enough(least) && least < 20'000) ++least;
    ASSERT_TRUE(enough(least)) << boxed;
    EXPECT_GT(least, 4) << boxed;  // work is counted at all
    const bool correct = Grade({"", Boxed(boxed), {accepted}}).correct;
    for (const int64_t above : {0, 1, 2, 3, 1000}) {
      const GradeResult result = Grade({"", Boxed(boxed), {accepted}}, {.work = least + above});
      EXPECT_EQ(result.status, GradeStatus::kGraded) << boxed << " " << above;
      EXPECT_EQ(result.correct, correct) << boxed << " " << above;
    }
    const GradeResult below = Grade({"", Boxed(boxed), {accepted}}, {.work = least - 1});
    EXPECT_EQ(below.status, GradeStatus::kLimit) << boxed;
    EXPECT_FALSE(below.correct) << boxed;
  }
}

TEST(Limits, AcceptNothingThatMoreWorkWouldRefuse) {
  for (const auto& [boxed, accepted] : kCostly) {
    for (int64_t work = 0; work < 300; ++work) {
      EXPECT_FALSE(Grade({"", Boxed(boxed), {"7"}}, {.work = work}).correct)
          << boxed << " " << work;
    }
  }
}

}  // namespace
}  // namespace attnrl::verifier
