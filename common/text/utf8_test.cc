// SPDX-License-Identifier: Apache-2.0
#include "common/text/utf8.h"

#include <gtest/gtest.h>

#include "common/text/byte_alphabet.h"

namespace attnrl::text {
namespace {

TEST(LossyUtf8, KeepsWellFormedText) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_EQ(LossyUtf8(text), text);
  EXPECT_TRUE(IsUtf8(text));
}

TEST(LossyUtf8, ReplacesEachMaximalIllFormedPart) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(LossyUtf8("\x80z"), mark + "z");
  EXPECT_EQ(LossyUtf8("\xE2\x82z"), mark + "z");  // a truncated character is one part
  EXPECT_EQ(LossyUtf8("\xF0\x9F\x98"), mark);
  EXPECT_EQ(LossyUtf8("\xC0\xAF"), mark + mark);  // overlong: no lead byte
  EXPECT_EQ(LossyUtf8("\xE0\x80\x80"), mark + mark + mark);
  EXPECT_EQ(LossyUtf8("\xED\xA0\x80"), mark + mark + mark);             // a surrogate
  EXPECT_EQ(LossyUtf8("\xF4\x90\x80\x80"), mark + mark + mark + mark);  // above U+10FFFF
  EXPECT_EQ(LossyUtf8("\xF1\x80\x80\xC3\xA9"), mark + "\xC3\xA9");
  EXPECT_FALSE(IsUtf8("\x80"));
}

TEST(ComposeNfc, JoinsCombiningCharacters) {
  EXPECT_EQ(ComposeNfc("e\xCC\x81!"), "\xC3\xA9!");
  EXPECT_EQ(ComposeNfc(""), "");
  EXPECT_EQ(ComposeNfc("plain"), "plain");
}

TEST(ByteAlphabet, IsTheOneOfGpt2) {
  EXPECT_EQ(ByteCharacter('a'), "a");
  EXPECT_EQ(ByteCharacter(' '), "Ġ");
  EXPECT_EQ(ByteCharacter('\n'), "Ċ");
  EXPECT_EQ(ByteCharacter(0), "Ā");
  EXPECT_EQ(ByteCharacter(0xAD), "Ń");
}

TEST(ByteAlphabet, LeadsBackToEveryByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto bytes = AlphabetBytes(ByteCharacter(static_cast<uint8_t>(byte)));
    ASSERT_TRUE(bytes.has_value());
    EXPECT_EQ(*bytes, std::string(1, static_cast<char>(byte)));
  }
}

TEST(ByteAlphabet, HasNoOtherCharacters) {
  EXPECT_EQ(AlphabetBytes("a b"), std::nullopt);
  EXPECT_EQ(AlphabetBytes("<｜User｜>"), std::nullopt);
  EXPECT_EQ(AlphabetBytes("\xC5"), std::nullopt);
}

}  // namespace
}  // namespace attnrl::text
