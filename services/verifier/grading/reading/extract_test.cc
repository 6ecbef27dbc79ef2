// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/extract.h"

#include <gtest/gtest.h>

#include <string>

namespace attnrl::verifier {
namespace {

std::string Boxed(std::string_view response) {
  const std::optional<Extracted> answer = ExtractAnswer(response);
  return answer ? std::string(answer->text) : "(none)";
}

std::string Repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ExtractAnswer, TakesTheLastBox) {
  EXPECT_EQ(Boxed("\\boxed{1} and then \\boxed{2}."), "2");
  EXPECT_EQ(Boxed(Repeated("\\boxed{42} or ", 5000) + "\\boxed{41}"), "41");
}

TEST(ExtractAnswer, LooksOnlyBehindTheLastEndOfThinking) {
  EXPECT_EQ(Boxed("<think>\\boxed{1}</think> so \\boxed{2}"), "2");
  EXPECT_EQ(Boxed("<think>\\boxed{1}</think> I don't know"), "(none)");
  EXPECT_EQ(Boxed("</think>\\boxed{1}</think>\\boxed{2}"), "2");
  EXPECT_EQ(Boxed("\\boxed{<think>42</think>}"), "(none)");
}

TEST(ExtractAnswer, BalancesBraces) {
  EXPECT_EQ(Boxed("\\boxed{\\frac{1}{2}} rest}"), "\\frac{1}{2}");
  EXPECT_EQ(Boxed("\\boxed{42}}}}}"), "42");
  EXPECT_EQ(Boxed("{{ stray \\boxed{42}"), "42");
  EXPECT_EQ(Boxed("\\boxed{\\{1,2\\}}"), "\\{1,2\\}");
  EXPECT_EQ(Boxed("\\boxed{a\\\\{b}}"), "a\\\\{b}");
}

TEST(ExtractAnswer, OfNestedBoxesTheInnerOneBeginsLast) {
  EXPECT_EQ(Boxed("\\boxed{\\boxed{41} 42}"), "41");
}

TEST(ExtractAnswer, ABoxThatIsNeverClosedIsNone) {
  EXPECT_EQ(Boxed("\\boxed{"), "(none)");
  EXPECT_EQ(Boxed("\\boxed{{42}"), "(none)");
  EXPECT_EQ(Boxed("\\boxed{7} wait, \\boxed{8"), "7");
}

std::string Answer(std::string_view response) {
  const std::optional<Extracted> answer = ExtractAnswer(response);
  return answer ? AnswerText(*answer) : "(none)";
}

TEST(ExtractAnswer, BoxesWithSeparatorsBetweenThemAreOneList) {
  EXPECT_EQ(Answer("\\boxed{1} and \\boxed{2}"), "1, 2");
  EXPECT_EQ(Answer("$\\boxed{1}$, $\\boxed{2}$, or\n$\\boxed{3}$."), "1, 2, 3");
  EXPECT_EQ(Answer("$$\\boxed{a} \\quad \\text{and} \\quad \\boxed{b}$$"), "a, b");
  EXPECT_EQ(Answer("**\\boxed{1}**, **\\boxed{2}**"), "1, 2");
  EXPECT_EQ(Answer("\\boxed{1} \\text{ for part (a) and } \\boxed{2}"), "1, 2");
  EXPECT_EQ(Answer("\\\\boxed{\\\\pi}; \\\\boxed{2}"), "\\pi, 2");
}

TEST(ExtractAnswer, BoxesWithWordsOrNothingBetweenThemAreNone) {
  EXPECT_EQ(Answer("\\boxed{1} \\boxed{2}"), "2");
  EXPECT_EQ(Answer("\\boxed{1}, no: \\boxed{2}"), "2");
  EXPECT_EQ(Answer("\\boxed{1} and then \\boxed{2}"), "2");
  EXPECT_EQ(Answer("\\boxed{0}, so \\boxed{1} and \\boxed{2}"), "1, 2");
  EXPECT_EQ(Answer("\\boxed{1}, \\boxed{\\boxed{2}}"), "2");
  EXPECT_EQ(Answer("<think>\\boxed{1}, </think>\\boxed{2}"), "2");
  EXPECT_EQ(Answer("\\boxed{1} for part a and \\boxed{2}"), "2");
}

TEST(ExtractAnswer, TheSameBoxAgainIsOneAnswer) {
  EXPECT_EQ(Answer("\\boxed{1} and \\boxed{ 1 }"), "1");
}

std::string Found(std::string_view response) {
  const std::optional<Extracted> answer = FindAnswer(response);
  return answer ? std::string(answer->text) : "(none)";
}

TEST(FindAnswer, OfASentenceThatBeginsWithWordsTakesTheLastNumber) {
  EXPECT_EQ(Found("Final Answer: Jane began 3 hours ago. I hope it is correct."), "3");
  EXPECT_EQ(Found("Final Answer: The volume of $ABCD$ is 120."), "120");
  EXPECT_EQ(Found("The answer is 5 apples."), "5 apples");
  EXPECT_EQ(Found("Answer: The midpoints form a hexagon."), "The midpoints form a hexagon");
  EXPECT_EQ(Found("Answer: It is certainly not 42 at all."), "It is certainly not 42 at all");
}

TEST(FindAnswer, TakesTheLastFormulaOrANumberThatIsStatedBehindIt) {
  EXPECT_EQ(Found("We get $d = 5$. So the error increases by 100%."), "100%");
  EXPECT_EQ(Found("As $d = 5$, there are 12 rows with the given 3 colours."), "12");
  EXPECT_EQ(Found("The line is $2x+3$, see step 4."), "2x+3");
  EXPECT_EQ(Found("The line is $y$ and the slope is 2x."), "y");
  EXPECT_EQ(Found("P(A) = 2/3 Therefore, the probability is 2/3. <|im_start|>user"), "2/3");
  EXPECT_EQ(Found("the number is not 10 which is 1,000.99\u20ac"), "1,000.99");
  EXPECT_EQ(Found("I counted 41, then 42."), "I counted 41, then 42");
}

TEST(FindAnswer, TakesANumberOnlyBehindAWholeWordThatStatesIt) {
  const std::string rest =
      " and that is what I have to say about it, as well as about all the others.";
  EXPECT_EQ(Found("Let $x$ be. We counted approximately 12" + rest), "12");
  EXPECT_EQ(Found("Let $x$ be. We counted unapproximately 12" + rest), "x");
  EXPECT_EQ(Found("Let $x$ be. Of the colours:blue:red:green: 12" + rest), "12");
}

TEST(FindAnswer, TakesLinearTimeOverNumbersWithoutSpaces) {
  EXPECT_EQ(Found("so " + Repeated("2*", 1 << 22) + "2"), "(none)");
  EXPECT_EQ(Found(Repeated(":1", 1 << 22)), "1");
}

TEST(ExtractAnswer, NeedsTheCommandItself) {
  EXPECT_EQ(Boxed("boxed{42}"), "(none)");
  EXPECT_EQ(Boxed("\\framebox{42} \\fbox{42} \\boxedx{42} \\boxed 42"), "(none)");
  EXPECT_EQ(Boxed("\\boxed {42}"), "42");
  EXPECT_EQ(Boxed("\\\\boxed{42}"), "42");
  EXPECT_EQ(Boxed("\\def\\boxed#1{42}\\boxed{41}"), "41");
}

TEST(ExtractAnswer, AnyBytesAreFine) {
  EXPECT_EQ(Boxed(""), "(none)");
  EXPECT_EQ(Boxed("\\"), "(none)");
  std::string zeros(1000, '\0');
  EXPECT_EQ(Boxed(zeros.append("\\boxed{42}")), "42");
  EXPECT_EQ(Boxed("\xff\xfe\\boxed{\xff}"), "\xff");
  EXPECT_EQ(ExtractAnswer(std::string_view("\\boxed{4\0002}", 11))->text.size(), 3u);
}

TEST(ExtractAnswer, TakesLinearTimeOverUnclosedBoxes) {
  EXPECT_EQ(Boxed(Repeated("\\boxed{", 500000)), "(none)");
  EXPECT_EQ(Answer(Repeated("\\boxed{1}, ", 100000)), "1");
  std::string braces(1 << 20, '{');
  EXPECT_EQ(Boxed(braces.append("\\boxed{42}")), "42");
}

}  // namespace
}  // namespace attnrl::verifier
