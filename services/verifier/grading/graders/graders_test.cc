// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/graders/graders.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "services/verifier/grading/graders/accepted_answers.h"

namespace attnrl::verifier {
namespace {

bool Accepts(const char* grader, const std::string& answer, const std::string& accepted) {
  const std::unique_ptr<Grader> one = MakeGrader(grader, {}, false);
  std::string explanation;
  if (one->Read(answer, &explanation) != GradeStatus::kGraded) return false;
  bool limit = false;
  return one->Compare(accepted, &limit).same;
}

TEST(Graders, HaveTheNamesThatDataSetsUse) {
  for (const std::string_view name : kGraders) {
    EXPECT_TRUE(MakeGrader(name, {}, false)) << name;
    EXPECT_TRUE(IsGrader(name));
  }
  EXPECT_TRUE(MakeGrader("", {}, false));
  EXPECT_TRUE(IsGrader(""));
  for (const char* name : {"Math", "regex", "math "}) {
    EXPECT_FALSE(MakeGrader(name, {}, false)) << name;
    EXPECT_FALSE(IsGrader(name));
  }
}

TEST(ExactMatch, ComparesCharactersAndNothingElse) {
  EXPECT_TRUE(Accepts("exact_match", " \\text{north-west} ", "north-west"));
  EXPECT_TRUE(Accepts("exact_match", "$\\mathrm{AB}$", "AB"));
  EXPECT_TRUE(Accepts("exact_match", "x{y}", "x{y}"));
  for (const char* other : {"North-west", "north west", "0.5", ""}) {
    EXPECT_FALSE(Accepts("exact_match", other, "north-west")) << other;
  }
  EXPECT_FALSE(Accepts("exact_match", "0.5", "1/2"));
  EXPECT_FALSE(Accepts("exact_match", "\\text{a}b}", "ab"));
}

TEST(MultipleChoice, TakesTheLetterHoweverItIsDressed) {
  for (const char* answer :
       {"C", "c", "(C)", "\\text{(C)}", "C.", "C) 45", "(C) \\frac12", "[C]"}) {
    EXPECT_TRUE(Accepts("multiple_choice", answer, "(C)")) << answer;
  }
  for (const char* answer : {"B", "C, A", "Correct", "45", "", "BC", "C or A", "(C) or (A)",
                             "C, not A", "C \\text{ or } D", "C and D"}) {
    EXPECT_FALSE(Accepts("multiple_choice", answer, "(C)")) << answer;
  }
  for (const char* answer : {"\\textbf{(C)}\\ 45",
                             "\\textbf{(C) } 45",
                             "\\textbf{(C)}45",
                             "\\text{C. } 45",
                             "\\text{(C) } \\frac{1}{2}",
                             "\\text{(C)}.",
                             "\\(C\\)",
                             "$C$",
                             "\\mathsf{C}",
                             "\\mathcal{C}",
                             "{C}",
                             "\\text{Option C}",
                             "Answer: C",
                             "\\left(C\\right)",
                             "\\mathrm{(C)}\\quad 7",
                             "(C) P(A)",
                             "C) A triangle",
                             "(C) x + y",
                             "C: 3; 4",
                             "C. Apples and bananas"}) {
    EXPECT_TRUE(Accepts("multiple_choice", answer, "C")) << answer;
  }
  for (const char* answer : {"C/B",
                             "C/A/B/D",
                             "C; B",
                             "C | B",
                             "C-D",
                             "C - D",
                             "C vs B",
                             "C vs. B",
                             "C\\ B\\ D",
                             "C~B",
                             "C \\lor B",
                             "C \\vee B",
                             "C \\& B",
                             "C + B",
                             "C but also B",
                             "(C) 45 (B) 50",
                             "(C) 45; (B) 50",
                             "(C) or \\text{(B)}",
                             "C = D",
                             "\\textbf{C}/\\textbf{D}",
                             "\\text{C or D}",
                             "c/d",
                             "C, A perhaps",
                             "C \u2013 D",
                             "(C) \u2013 D",
                             "C to D",
                             "C through D",
                             "C OR D",
                             "C und D",
                             "C\\to D",
                             "C? D?",
                             "C 45 D 50",
                             "\\text{C} to \\text{D}",
                             "(C) A or B",
                             "Optional"}) {
    EXPECT_FALSE(Accepts("multiple_choice", answer, "C")) << answer;
  }
  for (const char* answer : {"C) A and B", "(C) A and D", "C. Both A and D",
                             "\\textbf{(C)}\\ A and B.", "\\text{(C) Both }A\\text{ and }B"}) {
    EXPECT_TRUE(Accepts("multiple_choice", answer, "C")) << answer;
    EXPECT_TRUE(Accepts("multiple_choice", "C", answer)) << answer;
  }
  for (const char* answer :
       {"A and B", "A or B", "A) / B)", "C A and B", "C, A and B", "C) C and B", "C) A and A",
        "C) A or B", "C) and B", "C) A and B or D", "C) A and B, D", "(C) (A) and (B)",
        "C) A) and B)", "C) a and b", "A, C) A and B"}) {
    EXPECT_FALSE(Accepts("multiple_choice", answer, "C")) << answer;
  }
  EXPECT_TRUE(Accepts("multiple_choice", "C, A", "\\text{A,C}"));
  EXPECT_TRUE(Accepts("multiple_choice", "C. 45 or more", "C"));
  EXPECT_FALSE(Accepts("multiple_choice", "C", "45"));
}

TEST(NumericTolerance, AcceptsWhatIsNear) {
  EXPECT_TRUE(Accepts("numeric_tolerance", "9.81", "9.8"));
  EXPECT_TRUE(Accepts("numeric_tolerance", "\\pi", "3.14"));
  EXPECT_TRUE(Accepts("numeric_tolerance", "-100", "-101"));
  EXPECT_FALSE(Accepts("numeric_tolerance", "9.9", "9.8"));
  EXPECT_FALSE(Accepts("numeric_tolerance", "-9.8", "9.8"));
  EXPECT_FALSE(Accepts("numeric_tolerance", "x", "9.8"));
  EXPECT_FALSE(Accepts("numeric_tolerance", "0.001", "0"));
}

TEST(NumericTolerance, IsWhatStandsBehindThePlusMinusSign) {
  EXPECT_TRUE(Accepts("numeric_tolerance", "10.3", "10 \\pm 0.5"));
  EXPECT_TRUE(Accepts("numeric_tolerance", "10.5", "10 \\pm 0.5"));
  EXPECT_FALSE(Accepts("numeric_tolerance", "10.51", "10 \\pm 0.5"));
  EXPECT_TRUE(Accepts("numeric_tolerance", "9.9", "9.8 \\pm 0.1"));
}

struct Measured {
  const char* answer;
  const char* accepted;
};

TEST(NumericTolerance, LooksThroughMarksNamesUnitsAndPlusMinusOfBothSides) {
  for (const auto& [answer, accepted] :
       std::vector<Measured>{{"\\approx 9.81", "9.8"},
                             {"≈ 9.81", "9.8"},
                             {"g = 9.81", "9.8"},
                             {"g \\approx 9.81", "9.8"},
                             {"x = 9.81\\text{ m/s}^2", "9.8"},
                             {"9.81 \\pm 0.01", "9.8"},
                             {"g = 9.81 \\pm 0.01\\text{ m/s}^2", "9.8\\text{ m/s}^2"},
                             {"\\approx 9.81\\text{ m/s}^2", "9.8\\text{ m/s}^2"},
                             {"981\\text{ cm/s}^2", "9.8 \\pm 0.1\\text{ m/s}^2"},
                             {"9.9\\text{ m/s}^2", "9.8 \\pm 0.1\\text{ m/s}^2"},
                             {"9.71", "9.8\\text{ m/s}^2 \\pm 0.1\\text{ m/s}^2"},
                             {"9.85", "(9.8 \\pm 0.1)\\text{ m/s}^2"},
                             {"9.81", "g \\approx 9.8"},
                             {"g = 9.81", "g = 9.8"},
                             {"3.14", "\\pi"},
                             {"\\frac{22}{7}", "\\pi"},
                             {"\\pi + 0.05", "\\pi \\pm 0.1"},
                             {"4.44", "\\sqrt{2}\\pi"},
                             {"50\\%", "0.5"},
                             {"0.5", "50\\%"},
                             {"50", "50\\%"},
                             {"p = 50.2\\%", "\\frac12"}}) {
    EXPECT_TRUE(Accepts("numeric_tolerance", answer, accepted)) << answer << " for " << accepted;
  }
  for (const auto& [answer, accepted] :
       std::vector<Measured>{{"\\approx 9.9", "9.8"},
                             {"g = 9.9", "9.8"},
                             {"g < 9.81", "9.8"},
                             {"9.81 = 9.81", "9.8"},
                             {"g = 9.81 = 4", "9.8"},
                             {"h = 9.81", "g = 9.8"},
                             {"9.8 \\pm 1000", "9.8"},
                             {"9.8 \\pm 0.2", "9.8 \\pm 0.1"},
                             {"9.8\\text{ m} \\pm 0.1", "9.8"},
                             {"90^\\circ \\pm 1", "1.57"},
                             {"9.91\\text{ m/s}^2", "9.8 \\pm 0.1\\text{ m/s}^2"},
                             {"9.8\\text{ m}", "9.8 \\pm 0.1\\text{ m/s}^2"},
                             {"10", "10 \\pm 5\\%"},
                             {"3.1", "\\pi"},
                             {"-\\pi", "\\pi"},
                             {"\\pi \\pm 1", "\\pi"},
                             {"\\pi + 0.11", "\\pi \\pm 0.1"},
                             {"50", "0.5"},
                             {"0.5\\%", "0.5"},
                             {"0.5\\%", "50"},
                             {"5000", "50\\%"},
                             {"50\\%", "0.5\\text{ m}"}}) {
    EXPECT_FALSE(Accepts("numeric_tolerance", answer, accepted)) << answer << " for " << accepted;
  }
}

TEST(NumericTolerance, ConvertsUnits) {
  EXPECT_TRUE(Accepts("numeric_tolerance", "5.02\\text{ m}", "500\\text{ cm}"));
  EXPECT_TRUE(Accepts("numeric_tolerance", "5.02", "5\\text{ m}"));
  EXPECT_FALSE(Accepts("numeric_tolerance", "5\\text{ s}", "5\\text{ m}"));
  EXPECT_FALSE(Accepts("numeric_tolerance", "5\\text{ cm}", "5\\text{ m}"));
  EXPECT_FALSE(Accepts("numeric_tolerance", "9.8\\%", "9.8"));
  EXPECT_TRUE(Accepts("numeric_tolerance", "9.81\\%", "9.8\\%"));
}

std::string Kinds(const char* grader, const std::vector<std::string>& accepted) {
  std::string kinds;
  for (const std::string& answer : accepted) {
    kinds += static_cast<char>(MakeGrader(grader, {}, false)->Check(answer));
  }
  return kinds;
}

TEST(Graders, SayHowTheyReadAcceptedAnswers) {
  EXPECT_EQ(Kinds("math", {"1/2", "\\boxed{4}", "#### 72", "\\sum_{n} a_n", "", " ", "$ $",
                           "\\frac{1}{", "\\boxed{}", "\xff"}),
            "vvvtxxxxxx");
  EXPECT_EQ(Kinds("exact_match", {"x", "\\frac{1}{", "\\text{}", " "}), "vvxx");
  EXPECT_EQ(Kinds("multiple_choice", {"(B)", "A, C", "Paris", ""}), "vvxx");
  EXPECT_EQ(Kinds("numeric_tolerance",
                  {"9.8 \\pm 0.1", "5\\text{ m}", "x", "1, 2", "", "9.8\\pm0.1\\text{ m/s}^2",
                   "\\pi", "g = 9.8", "0", "(1, 2)", "10 \\pm 5\\%", "x = y"}),
            "vvxxxvvvvxxx");
}

TEST(AcceptedAnswers, CostTheSameReadOrRemembered) {
  const Limits limits;
  const std::string answer = "\\frac{1}{2} + x^{17}";
  Work first(limits.work);
  const AcceptedAnswer read = ReadAccepted(answer, limits, first);
  Work second(limits.work);
  EXPECT_EQ(ReadAccepted(answer, limits, second), read);
  EXPECT_EQ(first.left(), second.left());
  EXPECT_LT(second.left(), limits.work);
}

TEST(AcceptedAnswers, AreReadAgainWithinOtherLimits) {
  const std::string answer = "((((1))))";
  Work work(1000);
  EXPECT_FALSE(ReadAccepted(answer, {.work = 1000}, work)->empty());
  Work little(2);
  EXPECT_TRUE(ReadAccepted(answer, {.work = 2}, little)->empty());
  EXPECT_TRUE(little.exhausted());
}

TEST(AcceptedAnswers, OfWhichThousandsAreAskedForAreStillRead) {
  for (int i = 0; i < 10'000; ++i) {
    Work work(Limits().work);
    const AcceptedAnswer answer = ReadAccepted(std::to_string(i), {}, work);
    ASSERT_EQ(answer->front().tokens.front().text, std::to_string(i));
  }
}

TEST(AcceptedAnswers, AreRememberedWithinABoundOfBytes) {
  std::string sum = "1";
  while (sum.size() < 4000) sum += "+1";
  std::vector<std::weak_ptr<const std::vector<Reading>>> read;
  for (int i = 0; i < 300; ++i) {
    Work work(Limits().work);
    read.push_back(ReadAccepted(std::to_string(1000 + i) + "+" + sum, {}, work));
  }
  size_t tokens = 0;
  for (const auto& one : read) {
    if (const auto readings = one.lock()) tokens += readings->front().tokens.size();
  }
  EXPECT_GT(tokens, 0u);
  EXPECT_LT(tokens * sizeof(Token), size_t{64} << 20);
  EXPECT_FALSE(read.back().expired());
}

}  // namespace
}  // namespace attnrl::verifier
