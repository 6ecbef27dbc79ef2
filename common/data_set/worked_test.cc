// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/worked.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace attnrl::data_set {
namespace {

TEST(BehindHashes, IsTheLastLineOfTheFormOfGsm8k) {
  EXPECT_EQ(BehindHashes("48/2 = <<48/2=24>>24\n#### 72"), "72");
  EXPECT_EQ(BehindHashes("3+4=7 #### 7 \n"), "7");
  EXPECT_EQ(BehindHashes("#### 1\n#### -1,200\n\n"), "-1,200");
  EXPECT_EQ(BehindHashes("####"), "");
  EXPECT_EQ(BehindHashes("72"), std::nullopt);
  EXPECT_EQ(BehindHashes("### 72"), std::nullopt);
}

TEST(BehindHashes, AHeadingWithTextBelowIsNone) {
  EXPECT_EQ(BehindHashes("#### Step 1\nWe add.\n"), std::nullopt);
}

TEST(LastBox, HoldsWhatItsBracesHold) {
  EXPECT_EQ(LastBox("so $\\boxed{72}$."), "72");
  EXPECT_EQ(LastBox("\\boxed{1} or \\boxed{\\frac{1}{2}}"), "\\frac{1}{2}");
  EXPECT_EQ(LastBox("\\boxed {7}"), "7");
  EXPECT_EQ(LastBox("\\boxed{\\{1, 2\\}}"), "\\{1, 2\\}");
  EXPECT_EQ(LastBox("\\boxed{a = \\boxed{3}}"), "3") << "the inner one";
  EXPECT_EQ(LastBox("no box"), std::nullopt);
}

TEST(LastBox, ThatIsNeverClosedHidesNoneBeforeIt) {
  EXPECT_EQ(LastBox("\\boxed{1} and \\boxed{2"), "1");
  EXPECT_EQ(LastBox("\\boxed{2\\}"), std::nullopt);
  EXPECT_EQ(LastBox("\\boxed"), std::nullopt);
}

TEST(LastBox, MayStandWithoutBraces) {
  EXPECT_EQ(LastBox("thus $n = \\boxed 5$ holds"), "5");
  EXPECT_EQ(LastBox("\\boxed 12\nas was asked"), "12");
  EXPECT_EQ(LastBox("\\boxed{1} \\boxedtext"), "1") << "another command";
}

TEST(LastBox, TakesLinearTimeOnManyThatAreNotClosed) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "\\boxed{";
  EXPECT_EQ(LastBox(text), std::nullopt);
}

TEST(FinalAnswer, IsTheBoxOrWhatIsBehindTheHashes) {
  EXPECT_EQ(FinalAnswer("a\n#### 72"), "72");
  EXPECT_EQ(FinalAnswer("it is \\boxed{72}"), "72");
  EXPECT_EQ(FinalAnswer("#### The answer is $\\boxed{72}$"), "72") << "a heading with the box";
  EXPECT_EQ(FinalAnswer("It is 72."), std::nullopt);
  EXPECT_EQ(FinalAnswer("\\boxed{ }"), std::nullopt);
  EXPECT_EQ(FinalAnswer("a ####"), std::nullopt);
  EXPECT_EQ(FinalAnswer(""), std::nullopt);
}

}  // namespace
}  // namespace attnrl::data_set
