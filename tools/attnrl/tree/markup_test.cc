// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/markup.h"

#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

TEST(Escaped, LeavesNoMarkup) {
  EXPECT_EQ(Escaped("<script>alert('1')</script> & \"x\""),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;");
  EXPECT_EQ(Escaped("a\n\tb \u00e9 \u4f60"), "a\n\tb \u00e9 \u4f60");
}

TEST(Escaped, ShowsControlCharacters) {
  EXPECT_EQ(Escaped(std::string("a\0b\x1b\x7f\r", 6)), "a\u2400b\u241b\u2421\u240d");
}

TEST(Escaped, SpellsOutWhatTurnsTheDirection) {
  // Byte by byte, so that the source itself stays readable.
  const std::string override = {'\xe2', '\x80', '\xae'};
  const std::string isolate = {'\xe2', '\x81', '\xa6'};
  EXPECT_EQ(Escaped("a" + override + "b" + isolate), "a[U+202E]b[U+2066]");
  EXPECT_EQ(Escaped("\u2013\u2192"), "\u2013\u2192");  // others of that block stay
}

TEST(Count, SeparatesThousands) {
  EXPECT_EQ(Count(0), "0");
  EXPECT_EQ(Count(999), "999");
  EXPECT_EQ(Count(1000), "1,000");
  EXPECT_EQ(Count(-1234567), "-1,234,567");
  EXPECT_EQ(Counted(1, "token", "tokens"), "1 token");
  EXPECT_EQ(Counted(8192, "token", "tokens"), "8,192 tokens");
}

TEST(Signed, HasASignAndTellsSmallValuesFromZero) {
  EXPECT_EQ(Signed(0.4), "+0.40");
  EXPECT_EQ(Signed(-1.166), "\u22121.17");
  EXPECT_EQ(Signed(0), "0");
  EXPECT_EQ(Signed(0.0004), "+0.0004");
}

TEST(Percent, StaysWithinItsBounds) {
  EXPECT_EQ(Percent(0.375), "37.5%");
  EXPECT_EQ(Percent(7), "100%");
  EXPECT_EQ(Percent(-1), "0%");
}

TEST(Shade, IsTheRootOfTheShare) {
  EXPECT_EQ(Shade(0.25, 1), 0.5);
  EXPECT_EQ(Shade(3, 3), 1);
  EXPECT_EQ(Shade(1, 0), 0);
  EXPECT_EQ(Shade(-1, 1), 0);
}

TEST(AdvantageAttributes, NameSideAndStrength) {
  EXPECT_EQ(AdvantageAttributes("chip", -0.25, 1), "class=\"chip neg\" style=\"--m:50%;\"");
  EXPECT_EQ(AdvantageAttributes("band", 1, 1, "left:0%"),
            "class=\"band pos\" style=\"--m:100%;left:0%\"");
}

}  // namespace
}  // namespace attnrl::tools
