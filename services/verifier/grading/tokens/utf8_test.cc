// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/tokens/utf8.h"

#include <gtest/gtest.h>

namespace attnrl::verifier {
namespace {

TEST(Utf8, KnowsCharactersOfEveryLength) {
  EXPECT_EQ(CharacterBytes("a"), 1u);
  EXPECT_EQ(CharacterBytes("\u00e9x"), 2u);
  EXPECT_EQ(CharacterBytes("\u221ex"), 3u);
  EXPECT_EQ(CharacterBytes("\U0001f600"), 4u);
  EXPECT_EQ(CharacterBytes(std::string_view("\0", 1)), 1u);
}

TEST(Utf8, RefusesWhatIsNone) {
  for (const char* text : {"", "\x80", "\xc0\x80", "\xc3", "\xc3(", "\xe0\x80\x80", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xf8\x88\x80\x80", "\xff"}) {
    EXPECT_EQ(CharacterBytes(text), 0u) << testing::PrintToString(text);
  }
}

TEST(Utf8, PrefixIsValidAndCutsNoCharacter) {
  EXPECT_EQ(ValidPrefix("ab\u221e", 10), "ab\u221e");
  EXPECT_EQ(ValidPrefix("ab\u221e", 4), "ab");
  EXPECT_EQ(ValidPrefix("a\xff\xfe", 100), "a\ufffd\ufffd");
  EXPECT_EQ(ValidPrefix("a\xff\xfe", 4), "a\ufffd");
}

}  // namespace
}  // namespace attnrl::verifier
