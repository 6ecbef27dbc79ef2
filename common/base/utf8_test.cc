// SPDX-License-Identifier: Apache-2.0
#include "common/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/philox.h"

namespace attnrl {
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

// The bytes of a code point, whether or not UTF-8 has it; two and three bytes for low ones if
// asked.
std::string Encoded(uint32_t point, size_t bytes) {
  if (bytes == 1) return std::string(1, static_cast<char>(point));
  std::string out;
  for (size_t i = 1; i < bytes; ++i) {
    out.insert(out.begin(), static_cast<char>(0x80 | (point & 0x3f)));
    point >>= 6;
  }
  const uint32_t lead = 0xff00 >> bytes & 0xff;
  return static_cast<char>(lead | point) + out;
}

TEST(IsUtf8, IsTrueOfEveryScalarValueInItsShortestFormOnly) {
  for (uint32_t point = 0; point < 0x120000; ++point) {
    const size_t shortest = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    const bool scalar = point < 0x110000 && (point < 0xd800 || point > 0xdfff);
    ASSERT_EQ(IsUtf8(Encoded(point, shortest)), scalar) << point;
    ASSERT_TRUE(shortest == 4 || !IsUtf8(Encoded(point, shortest + 1))) << point << " overlong";
  }
}

TEST(IsUtf8, IsFalseOfEveryCharacterThatIsCut) {
  for (const std::string text : {"\u00e9", "\u20ac", "\U0001f600"}) {
    for (size_t size = 1; size < text.size(); ++size) {
      EXPECT_FALSE(IsUtf8(text.substr(0, size)));
      EXPECT_FALSE(IsUtf8(text.substr(size)));
      EXPECT_FALSE(IsUtf8(text.substr(0, size) + "a"));
    }
  }
}

TEST(LossyUtf8, IsUtf8WhateverTheBytesAreAndKeepsWhatIsUtf8) {
  // Bytes that begin, continue, or never stand in a character.
  const std::string bytes = "az\x7f\x80\xbf\xc0\xc2\xdf\xe0\xe1\xed\xef\xf0\xf1\xf4\xf5\xff";
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    RandomStream random({.seed = seed});
    std::string text;
    for (uint64_t i = random.Below(12); i > 0; --i) text += bytes[random.Below(bytes.size())];
    const std::string lossy = LossyUtf8(text);
    EXPECT_TRUE(IsUtf8(lossy));
    EXPECT_EQ(lossy == text, IsUtf8(text));
    // A whole character on either side stays as it is.
    EXPECT_EQ(LossyUtf8("\u20ac" + text), "\u20ac" + lossy);
    EXPECT_EQ(LossyUtf8(text + "\u20ac"), lossy + "\u20ac");
  }
}

}  // namespace
}  // namespace attnrl
