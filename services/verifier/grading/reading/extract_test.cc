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
  std::string braces(1 << 20, '{');
  EXPECT_EQ(Boxed(braces.append("\\boxed{42}")), "42");
}

}  // namespace
}  // namespace attnrl::verifier
