// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/data_set/testing/record.h"

namespace attnrl::data_set {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::EndsWith;

TEST(FindField, FollowsDotsIntoObjects) {
  const json record = json::parse(R"({"a":{"b":{"c":1},"d.e":2},"f":null,"g":[{"h":3}]})");
  EXPECT_EQ(*FindField(record, "a.b.c")->value, 1);
  EXPECT_THAT(FindField(record, "a.b.c")->path, ElementsAre("a", "b", "c"));
  EXPECT_EQ(FindField(record, "a.b.c")->name, "a.b.c");
  EXPECT_EQ(*FindField(record, "a.d.e")->value, 2) << "a key may have a dot";
  EXPECT_THAT(FindField(record, "a.d.e")->path, ElementsAre("a", "d.e"));
  for (const char* name : {"f", "b", "a.c", "a.b.c.d", "g.h", "a.", ".a", "", "."}) {
    EXPECT_FALSE(FindField(record, name).has_value()) << name;
  }
}

TEST(FindField, OfAKeyWithADotComesBeforeWhatTheDotLeadsTo) {
  const json record = json::parse(R"({"a.b":1,"a":{"b":2}})");
  EXPECT_EQ(*FindField(record, "a.b")->value, 1);
  EXPECT_THAT(FindField(record, "a.b")->path, ElementsAre("a.b"));
}

TEST(MissingField, SaysWhatTheRecordHasAndWhatWasLookedFor) {
  const std::string text = R"({"id":1,"promt":"x"})";
  const absl::Status status =
      Missing(Record(text), "question", {"prompt", "problem"}, {}, /*configured=*/false);
  EXPECT_TRUE(IsInputError(status));
  EXPECT_EQ(
      Message(status),
      "in.jsonl:3: the question is missing: the record has \"id\" and \"promt\"; did you mean "
      "\"prompt\" by \"promt\"? one of \"prompt\" and \"problem\" is needed, or "
      "data.fields.question names another");
  EXPECT_EQ(Message(Missing(Record("{}"), "answer", {"answer"}, {.setting = ""}, false)),
            "in.jsonl:3: the answer is missing: the record has no field; one of \"answer\" is "
            "needed");
}

TEST(MissingField, OfASettingIsLookedForAsFarAsItsNameLeads) {
  const std::string text = R"({"model":{"style":1,"truht":"x"},"gold":2})";
  EXPECT_EQ(Message(Missing(Record(text), "answer", {"model.truth"}, {}, /*configured=*/true)),
            "in.jsonl:3: field \"model.truth\" is missing: \"model\" has \"style\" and \"truht\"; "
            "did you mean \"truht\"? data.fields.answer names the field to take");
  EXPECT_EQ(Message(Missing(Record(text), "id", {"x"}, {.setting = "--field "}, true)),
            "in.jsonl:3: field \"x\" is missing: the record has \"gold\" and \"model\"; "
            "--field id names the field to take");
}

TEST(ListedNames, AreCut) {
  EXPECT_EQ(Listed({}, "or"), "");
  EXPECT_EQ(Listed({"a"}, "or"), "\"a\"");
  EXPECT_EQ(Listed({"a", "b", "c"}, "or"), "\"a\", \"b\" or \"c\"");
  EXPECT_EQ(Listed({std::string(50, 'x')}, "or"), "\"" + std::string(40, 'x') + "...\"");
  EXPECT_THAT(Listed(std::vector<std::string>(20, "a"), "and"), EndsWith("\"a\", and 8 more"));
}

TEST(WrongTypeOfField, ShowsTheBeginningOfWhatIsThere) {
  const std::string text = R"({"answer":{"a":1}})";
  const storage::JsonLine record = Record(text);
  EXPECT_EQ(Message(WrongType(record, *FindField(record.value, "answer"), "text is needed")),
            "in.jsonl:3: field \"answer\" is {\"a\":1}; text is needed");
}

}  // namespace
}  // namespace attnrl::data_set
