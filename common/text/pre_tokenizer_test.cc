// SPDX-License-Identifier: Apache-2.0
#include "common/text/pre_tokenizer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "common/base/status.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

const Json kBytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
const Json kGpt2 = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};

Json Sequence(const Json& first, const Json& second) {
  return {{"type", "Sequence"}, {"pretokenizers", {first, second}}};
}

Json SplitBy(const std::string& regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}};
}

PreTokenizer Parsed(const Json& value) {
  absl::StatusOr<PreTokenizer> parsed = PreTokenizer::Parse(value, "f");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

TEST(PreTokenizer, SplitsAsGpt2) {
  EXPECT_THAT(Parsed(kGpt2).Split("I'll pay $123\n\nnow  ok "),
              ElementsAre("I", "'ll", " pay", " $", "123", "\n", "\n", "now", " ", " ok", " "));
}

TEST(PreTokenizer, SplitsAsLlama3) {
  EXPECT_THAT(Parsed(Sequence(SplitBy(kLlama3), kBytes)).Split("I'LL pay 12345\n\nnow"),
              ElementsAre("I", "'LL", " pay", " ", "123", "45", "\n\n", "now"));
}

TEST(PreTokenizer, SplitsDigitsOneByOneAsSmolLm2) {
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  EXPECT_THAT(Parsed(Sequence(digits, kGpt2)).Split("x 120²"),
              ElementsAre("x", " ", "1", "2", "0", "²"));
  const Json runs = {{"type", "Digits"}, {"individual_digits", false}};
  EXPECT_THAT(Parsed(Sequence(runs, kBytes)).Split("x 120y"), ElementsAre("x ", "120", "y"));
}

TEST(PreTokenizer, DropsGapsWhereMatchesAreKept) {
  Json split = SplitBy("\\p{L}+");
  split["behavior"] = "Removed";
  split["invert"] = true;
  EXPECT_THAT(Parsed(Sequence(split, kBytes)).Split("ab 12 cd"), ElementsAre("ab", "cd"));
}

TEST(PreTokenizer, SplitsByLiteralText) {
  Json split = SplitBy("");
  split["pattern"] = {{"String", "a.c"}};
  EXPECT_THAT(Parsed(Sequence(split, kBytes)).Split("abca.cb"), ElementsAre("abc", "a.c", "b"));
}

TEST(PreTokenizer, TakesUnicodeWhiteSpaceAndNoOther) {
  const PreTokenizer spaces = Parsed(Sequence(SplitBy("\\s+"), kBytes));
  EXPECT_THAT(spaces.Split("a\u0085\u00A0\u3000b"), ElementsAre("a", "\u0085\u00A0\u3000", "b"));
  EXPECT_THAT(spaces.Split("a\u180Eb"), ElementsAre("a\u180Eb"));  // no space since Unicode 6.3
  EXPECT_THAT(Parsed(Sequence(SplitBy("[^\\S\\n]+"), kBytes)).Split("a \nb"),
              ElementsAre("a", " ", "\nb"));
}

TEST(PreTokenizer, IgnoresEmptyMatches) {
  EXPECT_THAT(Parsed(Sequence(SplitBy("x*"), kBytes)).Split("éxxa"), ElementsAre("é", "xx", "a"));
}

TEST(PreTokenizer, CopesWithAMegabyteOfSpaces) {
  const std::string spaces(1 << 20, ' ');
  EXPECT_THAT(Parsed(Sequence(SplitBy(kLlama3), kBytes)).Split(spaces + "a"),
              ElementsAre(spaces.substr(1), " a"));
}

TEST(PreTokenizer, RefusesWhatItCannotDoByKey) {
  const auto refusal = [](const Json& value) {
    const absl::Status status = PreTokenizer::Parse(value, "f").status();
    EXPECT_TRUE(IsInputError(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(SplitBy("a")), HasSubstr("f: pre_tokenizer: has no ByteLevel step"));
  EXPECT_THAT(refusal(Sequence(SplitBy("(a"), kBytes)),
              HasSubstr("pre_tokenizer.pretokenizers[0].pattern: missing closing"));
  EXPECT_THAT(refusal(Sequence(kBytes, SplitBy("a"))), HasSubstr("has a step after ByteLevel"));
  Json split = SplitBy("a");
  split["behavior"] = "MergedWithNext";
  EXPECT_THAT(refusal(Sequence(split, kBytes)), HasSubstr("\"MergedWithNext\" is not supported"));
  split = SplitBy("a");
  split.erase("pattern");
  EXPECT_THAT(refusal(Sequence(split, kBytes)), HasSubstr(".pattern: is missing"));
  Json prefix = kBytes;
  prefix["add_prefix_space"] = true;
  EXPECT_THAT(refusal(prefix), HasSubstr("pre_tokenizer.add_prefix_space"));
  EXPECT_THAT(refusal({{"type", "Sequence"}}), HasSubstr(".pretokenizers: is missing"));
}

}  // namespace
}  // namespace attnrl::text
