// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/data_set/testing/record.h"

namespace attnrl::data_set {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;

// The ids of records that stand one a line, then the error.
std::vector<std::string> IdsOf(const std::vector<std::string>& records,
                               const FieldNames& names = {}) {
  Ids ids(names);
  std::vector<std::string> out;
  int64_t line = 0;
  for (const std::string& text : records) {
    ++line;
    const auto id =
        ids.Next({nlohmann::json::parse(text), line, absl::StrCat("in:", line), 0, text});
    out.push_back(id.ok() ? *id : Message(id.status()));
    if (id.ok()) continue;
    EXPECT_TRUE(IsInputError(id.status()));
    break;
  }
  return out;
}

TEST(Ids, AreFoundUnderEachRecognisedName) {
  EXPECT_THAT(IdsOf({R"({"id":"a"})", R"({"unique_id":"test/1.json"})", R"({"ID":"2024-I-1"})",
                     R"({"extra_info":{"index":7}})", R"({"id":null,"ID":-3})"}),
              ElementsAre("a", "test/1.json", "2024-I-1", "7", "-3"));
  EXPECT_THAT(IdsOf({R"({"id":"a","unique_id":"b"})"}), ElementsAre("a"));
}

TEST(Ids, AreTheFieldThatIsConfigured) {
  EXPECT_THAT(IdsOf({R"({"a":{"b":"x"},"id":1})"}, {.id = "a.b"}), ElementsAre("x"));
  EXPECT_THAT(IdsOf({R"({"id":1})"}, {.id = "a"}),
              ElementsAre("in:1: field \"a\" is missing: the record has \"id\"; data.fields.id "
                          "names the field to take"));
  EXPECT_THAT(IdsOf({R"({"id":1})"}, {.id = "a", .or_recognised = true}), ElementsAre("1"));
}

TEST(Ids, SayWhereTheRecordStandsWhereNoneHasOne) {
  EXPECT_THAT(IdsOf({"{}", R"({"id":null})", "{}"}), ElementsAre("line-1", "line-2", "line-3"));
  Ids ids({});
  EXPECT_EQ(*ids.Next({nlohmann::json::object(), 1, "in:1 (record 1)", 1}), "record-1");
  EXPECT_EQ(*ids.Next({nlohmann::json::object(), 1, "in:1 (record 2)", 2}), "record-2");
}

TEST(Ids, AreThereInAllRecordsOrInNone) {
  EXPECT_THAT(IdsOf({R"({"id":1})", R"({"idx":2})"}),
              ElementsAre("1",
                          "in:2: the id is missing: the record has \"idx\"; did you mean "
                          "\"id\" by \"idx\"? one of \"id\", \"unique_id\", \"ID\" and "
                          "\"extra_info.index\" is needed, or data.fields.id names another; "
                          "the record at in:1 has one"));
  EXPECT_THAT(IdsOf({"{}", R"({"id":2})"}),
              ElementsAre("line-1",
                          "in:2: this record has an id, but the first one has none; all "
                          "records have an id or none; the first one is at in:1"));
}

TEST(Ids, AreUnique) {
  EXPECT_THAT(IdsOf({R"({"id":"7"})", R"({"id":8})", R"({"id":7})"}),
              ElementsAre("7", "8",
                          "in:3: id \"7\" is used twice; ids must be unique; the other one is at "
                          "in:1"));
}

TEST(Ids, AreTextsOrWholeNumbers) {
  for (const char* id : {"1.5", "true", "[1]", "{}"}) {
    EXPECT_THAT(IdsOf({"{\"id\":" + std::string(id) + "}"}),
                ElementsAre(absl::StrCat("in:1: field \"id\" is ", id,
                                         "; a text or a whole number is needed")));
  }
  EXPECT_THAT(IdsOf({R"({"id":""})"}), ElementsAre(EndsWith("is empty; a unique id is needed")));
}

}  // namespace
}  // namespace attnrl::data_set
