// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/extract.h"

#include <gtest/gtest.h>

#include <string>

namespace attnrl::verifier {
namespace {

std::string Extracted(std::string_view response) {
  std::optional<std::string_view> answer = ExtractAnswer(response);
  return answer ? std::string(*answer) : "(none)";
}

std::string Repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ExtractAnswer, TakesTheLastBox) {
  EXPECT_EQ(Extracted("\\boxed{1} and then \\boxed{2}."), "2");
  EXPECT_EQ(Extracted(Repeated("\\boxed{42} or ", 5000) + "\\boxed{41}"), "41");
}

TEST(ExtractAnswer, LooksOnlyBehindTheLastEndOfThinking) {
  EXPECT_EQ(Extracted("<think>\\boxed{1}</think> so \\boxed{2}"), "2");
  EXPECT_EQ(Extracted("<think>\\boxed{1}</think> I don't know"), "(none)");
  EXPECT_EQ(Extracted("</think>\\boxed{1}</think>\\boxed{2}"), "2");
  EXPECT_EQ(Extracted("\\boxed{<think>42</think>}"), "(none)");
}

TEST(ExtractAnswer, BalancesBraces) {
  EXPECT_EQ(Extracted("\\boxed{\\frac{1}{2}} rest}"), "\\frac{1}{2}");
  EXPECT_EQ(Extracted("\\boxed{42}}}}}"), "42");
  EXPECT_EQ(Extracted("{{ stray \\boxed{42}"), "42");
  EXPECT_EQ(Extracted("\\boxed{\\{1,2\\}}"), "\\{1,2\\}");
  EXPECT_EQ(Extracted("\\boxed{a\\\\{b}}"), "a\\\\{b}");
}

TEST(ExtractAnswer, OfNestedBoxesTheInnerOneBeginsLast) {
  EXPECT_EQ(Extracted("\\boxed{\\boxed{41} 42}"), "41");
}

TEST(ExtractAnswer, ABoxThatIsNeverClosedIsNone) {
  EXPECT_EQ(Extracted("\\boxed{"), "(none)");
  EXPECT_EQ(Extracted("\\boxed{{42}"), "(none)");
  EXPECT_EQ(Extracted("\\boxed{7} wait, \\boxed{8"), "7");
}

TEST(ExtractAnswer, NeedsTheCommandItself) {
  EXPECT_EQ(Extracted("boxed{42}"), "(none)");
  EXPECT_EQ(Extracted("\\framebox{42} \\fbox{42} \\boxedx{42} \\boxed 42"), "(none)");
  EXPECT_EQ(Extracted("\\boxed {42}"), "42");
  EXPECT_EQ(Extracted("\\\\boxed{42}"), "42");
  EXPECT_EQ(Extracted("\\def\\boxed#1{42}\\boxed{41}"), "41");
}

TEST(ExtractAnswer, AnyBytesAreFine) {
  EXPECT_EQ(Extracted(""), "(none)");
  EXPECT_EQ(Extracted("\\"), "(none)");
  std::string zeros(1000, '\0');
  EXPECT_EQ(Extracted(zeros.append("\\boxed{42}")), "42");
  EXPECT_EQ(Extracted("\xff\xfe\\boxed{\xff}"), "\xff");
  EXPECT_EQ(ExtractAnswer(std::string_view("\\boxed{4\0002}", 11))->size(), 3u);
}

TEST(ExtractAnswer, TakesLinearTimeOverUnclosedBoxes) {
  EXPECT_EQ(Extracted(Repeated("\\boxed{", 500000)), "(none)");
  std::string braces(1 << 20, '{');
  EXPECT_EQ(Extracted(braces.append("\\boxed{42}")), "42");
}

}  // namespace
}  // namespace attnrl::verifier
