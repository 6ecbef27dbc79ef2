// SPDX-License-Identifier: Apache-2.0
#include "common/base/words.h"

#include <gtest/gtest.h>

namespace attnrl {
namespace {

enum class Colour { kRed = 7, kBlue = 3, kUnnamed = 5 };
std::vector<Word<Colour>> WordsOf(Colour) {
  return {{"blue", Colour::kBlue}, {"red", Colour::kRed}};
}

TEST(Words, BelongToTheirValueInAnyOrder) {
  EXPECT_EQ(WordOf(Colour::kRed), "red");
  EXPECT_EQ(WordOf(Colour::kBlue), "blue");
  EXPECT_EQ(ValueOf<Colour>("red"), Colour::kRed);
  EXPECT_EQ(ValueOf<Colour>("blue"), Colour::kBlue);
}

TEST(Words, OfNoValueAreNothing) {
  EXPECT_EQ(ValueOf<Colour>("green"), std::nullopt);
  EXPECT_EQ(ValueOf<Colour>(""), std::nullopt);
  EXPECT_EQ(ValueOf<Colour>("Red"), std::nullopt);
  EXPECT_EQ(WordOf(Colour::kUnnamed), "?");
}

}  // namespace
}  // namespace attnrl
