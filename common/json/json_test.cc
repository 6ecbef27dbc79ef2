// SPDX-License-Identifier: Apache-2.0
#include "common/json/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/json/json_words.h"

namespace attnrl {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// The fault of a text that is refused.
JsonFault FaultOf(std::string_view text) {
  JsonFault fault;
  const absl::Status status = ParseJson(text, &fault).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
  return fault;
}

bool NestsTooDeeply(std::string_view text) {
  JsonFault fault;
  return !ParseJson(text, &fault).ok() && fault.kind == JsonFault::Kind::kDepth;
}

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ParseJson, TakesOneValueOfAnyTypeWithSpaceAndAByteOrderMarkAround) {
  EXPECT_EQ(ParseJson(" {\"a\": [1, -2, 0.5, true, null, \"\\u00e9\"]}\r\n").value(),
            json({{"a", {1, -2, 0.5, true, nullptr, "\u00e9"}}}));
  EXPECT_EQ(ParseJson("\xef\xbb\xbf\"text\"").value(), json("text"));
}

TEST(ParseJson, KeepsTheLastOfEqualKeys) {
  EXPECT_EQ(ParseJson(R"({"a":1,"a":2})").value(), json({{"a", 2}}));
}

TEST(ParseJson, SaysWhichByteCanNotBeThere) {
  struct Case {
    std::string text;
    size_t byte;
  };
  const std::vector<Case> cases = {
      {"", 1},        {"[1,2", 5},           {"{\"a\":1}x", 8},
      {"{} {}", 4},   {"[1,]", 4},           {"{\"a\":\"\xff\"}", 7},
      {"// none", 1}, {"\xef\xbb\xbf{]", 5}, {std::string("[\0]", 3), 2}};
  for (const Case& one : cases) {
    SCOPED_TRACE(one.text);
    const JsonFault fault = FaultOf(one.text);
    EXPECT_EQ(fault.kind, JsonFault::Kind::kSyntax);
    EXPECT_EQ(fault.byte, one.byte);
  }
}

TEST(ParseJson, TellsANumberBeyondADoubleFromASyntaxError) {
  const JsonFault fault = FaultOf("[1e400]");
  EXPECT_EQ(fault.kind, JsonFault::Kind::kNumber);
  EXPECT_EQ(fault.byte, 0u);
  EXPECT_THAT(Message(ParseJson("[1e400]").status()), HasSubstr("1e400"));
}

TEST(ParseJson, LeavesTheFaultAloneWhereThereIsNone) {
  JsonFault fault = {JsonFault::Kind::kNumber, 7};
  ASSERT_TRUE(ParseJson("1", &fault).ok());
  EXPECT_EQ(fault.kind, JsonFault::Kind::kNumber);
  EXPECT_EQ(fault.byte, 7u);
}

TEST(ParseJson, SaysWhatTheParserFoundAndWhatDepthIsAllowed) {
  EXPECT_EQ(Message(ParseJson("[1;").status()),
            "parse error at line 1, column 3: syntax error while parsing array - invalid literal; "
            "last read: '1;'; expected ']'");
  EXPECT_EQ(Message(ParseJson(Nested(1000)).status()),
            "nests too deeply; at most 64 nested lists and objects are allowed");
}

TEST(JsonWords, LeaveTheNameOfTheExceptionOut) {
  const auto words = [](const auto& use) -> std::string {
    try {
      use(nlohmann::json{{"a", 1}});
    } catch (const std::exception& error) {
      return JsonWords(error);
    }
    return "";
  };
  EXPECT_EQ(words([](const nlohmann::json& value) { return value.at("b"); }), "key 'b' not found");
  EXPECT_EQ(words([](const nlohmann::json& value) { return value.at("a").get<std::string>(); }),
            "type must be string, but is number");
  EXPECT_EQ(words([](const nlohmann::json&) { throw std::runtime_error("[x] y"); }), "[x] y");
}

TEST(ParseJson, CountsOpenListsAndObjects) {
  EXPECT_FALSE(NestsTooDeeply(""));
  EXPECT_FALSE(NestsTooDeeply(Nested(kMaxJsonDepth)));
  EXPECT_TRUE(NestsTooDeeply(Nested(kMaxJsonDepth + 1)));
  std::string objects;
  for (size_t i = 0; i <= kMaxJsonDepth; ++i) objects += R"({"a":)";
  EXPECT_TRUE(NestsTooDeeply(objects));
}

TEST(ParseJson, TakesManyListsBesideEachOtherForFlat) {
  std::string wide = "[";
  for (int i = 0; i < 1000; ++i) wide += "[[]],";
  EXPECT_TRUE(ParseJson(wide + "1]").ok());
}

TEST(ParseJson, DoesNotCountBracketsInTexts) {
  const std::string many(1000, '[');
  EXPECT_FALSE(NestsTooDeeply("\"" + many + "\""));
  EXPECT_FALSE(NestsTooDeeply(R"("an escaped \" quote )" + many + "\""));
  EXPECT_TRUE(NestsTooDeeply(R"("ends with a backslash \\",)" + many));
}

TEST(ParseJson, TakesNoHarmFromWhatIsNoJson) {
  EXPECT_FALSE(NestsTooDeeply("]]]]\"\\"));
  EXPECT_FALSE(NestsTooDeeply("\\\\\""));
}

TEST(ParseOrderedJson, KeepsTheOrderOfKeys) {
  EXPECT_EQ(PrintJson(ParseOrderedJson(R"({"b":1,"a":{"d":2,"c":3}})").value()),
            R"({"b":1,"a":{"d":2,"c":3}})");
}

TEST(ParseOrderedJson, RefusesWhatParseJsonRefuses) {
  for (const std::string& text : {std::string("{"), std::string("1e400"), Nested(65)}) {
    EXPECT_EQ(ParseOrderedJson(text).status(), ParseJson(text).status());
    EXPECT_FALSE(ParseOrderedJson(text).ok());
  }
}

// Notes what it is shown, up to a piece that it refuses.
class Notes final : public nlohmann::json_sax<json> {
 public:
  explicit Notes(std::string refused = "") : refused_(std::move(refused)) {}
  const std::vector<std::string>& seen() const { return seen_; }

  bool null() override { return Add("null"); }
  bool boolean(bool value) override { return Add(value ? "true" : "false"); }
  bool number_integer(int64_t value) override { return Add(std::to_string(value)); }
  bool number_unsigned(uint64_t value) override { return Add(std::to_string(value)); }
  bool number_float(double /*value*/, const std::string& text) override { return Add(text); }
  bool string(std::string& value) override { return Add("text " + value); }
  bool binary(json::binary_t& /*value*/) override { return Add("binary"); }
  bool key(std::string& value) override { return Add("key " + value); }
  bool start_object(size_t /*size*/) override { return Add("{"); }
  bool end_object() override { return Add("}"); }
  bool start_array(size_t /*size*/) override { return Add("["); }
  bool end_array() override { return Add("]"); }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    seen_.push_back("error at " + std::to_string(position));
    return false;
  }

 private:
  bool Add(const std::string& piece) {
    seen_.push_back(piece);
    return piece != refused_;
  }

  std::string refused_;
  std::vector<std::string> seen_;
};

TEST(WalkJson, ShowsEveryPieceInTheOrderOfTheText) {
  Notes notes;
  EXPECT_TRUE(WalkJson(R"({"b":[1,-2,0.50],"b":null,"a":"x"})", &notes));
  EXPECT_THAT(notes.seen(), ElementsAre("{", "key b", "[", "1", "-2", "0.50", "]", "key b", "null",
                                        "key a", "text x", "}"));
}

TEST(WalkJson, StopsWhereTheWalkSaysSo) {
  Notes notes("1");
  EXPECT_FALSE(WalkJson("[1,2]", &notes));
  EXPECT_THAT(notes.seen(), ElementsAre("[", "1"));
}

TEST(WalkJson, TellsTheWalkOfWhatIsNoJson) {
  Notes notes;
  EXPECT_FALSE(WalkJson("[1}", &notes));
  EXPECT_THAT(notes.seen(), ElementsAre("[", "1", "error at 3"));
}

TEST(WalkJson, LeavesTheDepthToTheWalk) {
  Notes notes;
  EXPECT_TRUE(WalkJson(Nested(100'000), &notes));
  EXPECT_EQ(notes.seen().size(), 200'000u);
}

TEST(PrintJson, WritesOneLineWithoutSpacesOrIndentsByWhatIsAsked) {
  const ordered_json value = {{"b", {1, 2}}, {"a", ordered_json::object()}, {"c", nullptr}};
  EXPECT_EQ(PrintJson(value), R"({"b":[1,2],"a":{},"c":null})");
  EXPECT_EQ(PrintJson(value, 2),
            "{\n  \"b\": [\n    1,\n    2\n  ],\n  \"a\": {},\n  \"c\": null\n}");
  EXPECT_EQ(PrintJson(json({{"b", 1}, {"a", 2}}), 1), "{\n \"a\": 2,\n \"b\": 1\n}");
}

TEST(PrintJson, WritesUtf8AsItIsAndEscapesOnlyWhatItMust) {
  EXPECT_EQ(PrintJson(json("\u00e9\u4e2d\U0001f600 \"\\/\n\x01\x7f")),
            "\"\u00e9\u4e2d\U0001f600 \\\"\\\\/\\n\\u0001\x7f\"");
}

TEST(PrintJson, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(PrintJson(json("a\xff"
                           "b")),
            "\"a\ufffdb\"");
  EXPECT_EQ(PrintJson(ordered_json({{"\xc3", 1}}), 0), "{\n\"\ufffd\": 1\n}");
}

TEST(PrintJson, WritesDoublesThatReadBackToTheSameBits) {
  for (const double value : {0.1, 1.0 / 3, 1e-308, 5e-324, 1.7976931348623157e308, -0.0, 1e22}) {
    const json read = ParseJson(PrintJson(json(value))).value();
    EXPECT_EQ(read.get<double>(), value);
    EXPECT_EQ(std::signbit(read.get<double>()), std::signbit(value));
  }
  EXPECT_EQ(PrintJson(json(2.0)), "2.0");
  EXPECT_EQ(PrintJson(json::array({NAN, std::numeric_limits<double>::infinity()})), "[null,null]");
}

}  // namespace
}  // namespace attnrl
