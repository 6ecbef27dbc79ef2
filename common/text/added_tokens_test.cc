// SPDX-License-Identifier: Apache-2.0
#include "common/text/added_tokens.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace attnrl::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// The matches as "begin-end:id".
std::vector<std::string> Found(const AddedTokenFinder& finder, std::string_view text) {
  std::vector<std::string> out;
  for (const AddedTokenFinder::Match& match : finder.Find(text)) {
    out.push_back(std::to_string(match.begin) + "-" + std::to_string(match.end) + ":" +
                  std::to_string(match.id));
  }
  return out;
}

TEST(AddedTokenFinder, TakesTheLongestAtAPlaceInWhateverOrderTheyCame) {
  for (const bool short_first : {true, false}) {
    AddedTokenFinder finder;
    if (short_first) finder.Add("<a", 1);
    finder.Add("<ab>", 2);
    if (!short_first) finder.Add("<a", 1);
    EXPECT_THAT(Found(finder, "x<ab><a>"), ElementsAre("1-5:2", "5-7:1"));
  }
}

TEST(AddedTokenFinder, TakesTheLeftmostOfOverlappingTokens) {
  AddedTokenFinder finder;
  finder.Add("ab", 1);
  finder.Add("bcdef", 2);
  EXPECT_THAT(Found(finder, "abcdef"), ElementsAre("0-2:1"));
  EXPECT_THAT(Found(finder, "bcdef"), ElementsAre("0-5:2"));
}

TEST(AddedTokenFinder, FindsTokensSideBySideAndAtTheEnd) {
  AddedTokenFinder finder;
  finder.Add("|", 7);
  EXPECT_THAT(Found(finder, "||a|"), ElementsAre("0-1:7", "1-2:7", "3-4:7"));
}

TEST(AddedTokenFinder, FindsNothingWhereThereIsNothing) {
  AddedTokenFinder finder;
  EXPECT_THAT(finder.Find("<a>"), IsEmpty());
  finder.Add("<｜User｜>", 1);
  EXPECT_THAT(finder.Find(""), IsEmpty());
  EXPECT_THAT(finder.Find("<｜User"), IsEmpty());
  EXPECT_EQ(finder.Find("<｜User｜>").size(), 1u);
}

}  // namespace
}  // namespace attnrl::text
