// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/commands/model/shading.h"

#include <gtest/gtest.h>

#include <string>

namespace attnrl::tools {
namespace {

std::string On(int background, const std::string& text) {
  return "\x1b[38;5;16;48;5;" + std::to_string(background) + "m" + text + "\x1b[0m";
}

TEST(Shaded, IsStrongerTheNearerAStepComesToTheHighestScore) {
  EXPECT_EQ(Shaded({{"a", 0}, {"b", 0.05F}, {"c", 0.15F}, {"d", 0.25F}, {"e", 0.5F}}),
            "ab" + On(230, "c") + On(228, "d") + On(208, "e"));
}

TEST(Shaded, LeavesLineEndsAndAResponseWithoutScoresPlain) {
  EXPECT_EQ(Shaded({{"a\n\n", 1}, {"b", 0}}), On(208, "a") + "\n\nb");
  EXPECT_EQ(Shaded({{"a\n", 0}, {"b", 0}}), "a\nb");
  EXPECT_EQ(Shaded({}), "");
}

TEST(Shaded, WritesNoControlCharactersOfTheText) {
  EXPECT_EQ(Shaded({{"a\x1b[2Jb\rc", 0}}), "a\\x1b[2Jb\\x0dc");
  EXPECT_EQ(Shaded({{"a\u009b2J", 0}}), "a\\u009b2J") << "the same command in two bytes of UTF-8";
}

TEST(RowsOf, CountsLinesAndWhereTheyAreWrapped) {
  EXPECT_EQ(RowsOf("", 4), 1U);
  EXPECT_EQ(RowsOf("abcd", 4), 1U);
  EXPECT_EQ(RowsOf("abcde", 4), 2U);
  EXPECT_EQ(RowsOf("a\n\nabcdefgh\n", 4), 5U);
}

TEST(RowsOf, IsUnknownWhereCharactersMayBeWide) {
  EXPECT_EQ(RowsOf("\u6f22", 4), std::nullopt);
  EXPECT_EQ(RowsOf("a\tb", 4), std::nullopt);
  EXPECT_EQ(RowsOf("a", 0), std::nullopt) << "no terminal";
}

}  // namespace
}  // namespace attnrl::tools
