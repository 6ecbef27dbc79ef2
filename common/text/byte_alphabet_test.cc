// SPDX-License-Identifier: Apache-2.0
#include "common/text/byte_alphabet.h"

#include <gtest/gtest.h>

#include <string>

namespace attnrl::text {
namespace {

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
