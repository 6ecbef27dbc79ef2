// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

#include <string>

#include "absl/strings/cord.h"
#include "common/base/philox.h"
#include "common/base/utf8.h"
#include "gtest/gtest.h"

namespace attnrl {
namespace {

absl::StatusOr<int> Half(int x) {
  if (x % 2 != 0) return InputError("x", "is odd", "an even number is allowed");
  return x / 2;
}

absl::StatusOr<int> Quarter(int x) {
  ATTNRL_ASSIGN_OR_RETURN(const int half, Half(x));
  return Half(half);
}

TEST(InputError, NamesWhereWhatAndWhatIsAllowed) {
  EXPECT_EQ(Half(3).status().message(), "x: is odd; an even number is allowed");
  EXPECT_TRUE(IsInputError(Half(3).status()));
  EXPECT_FALSE(IsInputError(absl::InternalError("x")));
}

TEST(AssignOrReturn, PassesValuesOnAndErrorsOut) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_FALSE(Quarter(6).ok());
}

TEST(Annotate, KeepsTheCodeAndPrefixesTheMessage) {
  const absl::Status status = Annotate(absl::DataLossError("bad"), "a.safetensors");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "a.safetensors: bad");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
}

TEST(Escaped, LeavesATextWithoutCommandsForTheTerminal) {
  EXPECT_EQ(Escaped("two\nlines\tand \xC3\xA9"), "two\nlines\tand \xC3\xA9");
  EXPECT_EQ(Escaped("\x1b]0;title\x07\x1b[2J\r\x7f"), "\\x1b]0;title\\x07\\x1b[2J\\x0d\\x7f");
  EXPECT_EQ(Escaped("\xC2\x9B"
                    "2J \xC2\xA0"),
            "\\u009b2J \xC2\xA0")
      << "a control sequence in two bytes of UTF-8";
}

TEST(OneLine, CannotForgeALogLineAndIsBounded) {
  EXPECT_EQ(OneLine("a\nb\x1b[0m"), "a\\nb\\x1b[0m");
  EXPECT_EQ(OneLine("a\xC2\x9B"
                    "0m"),
            "a\\u009b0m");
  EXPECT_EQ(OneLine("abcdef", 3), "abc...");
}

TEST(OneLine, EscapesControlCharactersAndWhatIsNotUtf8) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    std::string expected = text;
    if (byte < 0x20 || byte >= 0x7f) {
      const char* digits = "0123456789abcdef";
      expected = std::string("\\x") + digits[byte / 16] + digits[byte % 16];
    }
    EXPECT_EQ(OneLine(text), byte == '\n' ? "\\n" : expected) << byte;
  }
  const std::string longest(200, 'a');
  EXPECT_EQ(OneLine(longest), longest);
  EXPECT_EQ(OneLine(longest + "a"), longest + "...");
  EXPECT_EQ(OneLine("a\nb", 2), "a\\n...") << "an escape is never cut";
  EXPECT_EQ(OneLine("a\u00e9b", 2), "a\u00e9...") << "a character is never cut";
  EXPECT_EQ(OneLine("a\xe2\x82"), "a\\xe2\\x82");
  EXPECT_EQ(OneLine("", 0), "");
}

TEST(OneLine, IsUtf8WhateverItIsMadeOf) {
  const std::string bytes = "az\n\x7f\x80\xbf\xc2\x9b\xdf\xe2\x82\xac\xed\xf0\x9f\x98\x80\xff";
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    RandomStream random({.seed = seed});
    std::string text;
    for (int i = 0; i < 12; ++i) text += bytes[random.Below(bytes.size())];
    for (size_t limit = 0; limit < 12; ++limit) EXPECT_TRUE(IsUtf8(OneLine(text, limit))) << seed;
    EXPECT_TRUE(IsUtf8(Escaped(text))) << seed;
  }
}

TEST(Annotate, KeepsPayloads) {
  absl::Status status = absl::AbortedError("x");
  status.SetPayload("url", absl::Cord("payload"));
  EXPECT_EQ(Annotate(status, "p").GetPayload("url"), absl::Cord("payload"));
}

}  // namespace
}  // namespace attnrl
