// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/question.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/data_set/testing/record.h"

namespace attnrl::data_set {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

Question QuestionOf(const std::string& text, const FieldNames& names = {}) {
  const storage::JsonLine record = Record(text);
  EXPECT_TRUE(HasQuestion(record, names)) << text;
  const auto question = QuestionOf(record, names);
  EXPECT_TRUE(question.ok()) << question.status();
  return question.value_or(Question{});
}

// The error behind "in.jsonl:3: ".
std::string Refusal(const std::string& text, const FieldNames& names = {}) {
  const absl::Status status = QuestionOf(Record(text), names).status();
  EXPECT_TRUE(IsInputError(status)) << text;
  EXPECT_THAT(Message(status), StartsWith("in.jsonl:3: "));
  return Message(status).substr(12);
}

TEST(QuestionOf, IsFoundUnderEachRecognisedName) {
  for (const char* name : {"problem", "question", "prompt", "Problem", "Question"}) {
    EXPECT_EQ(QuestionOf("{\"" + std::string(name) + R"(":"1+1?"})"), (Question{{"", "1+1?"}}))
        << name;
  }
  EXPECT_EQ(
      QuestionOf(R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}]})"),
      (Question{{"system", "s"}, {"user", "q"}}));
  EXPECT_EQ(QuestionOf(R"({"prompt":[{"role":"user","content":"q"}]})"), (Question{{"user", "q"}}));
}

TEST(QuestionOf, IsTheConversationThenThePromptThenTheProblem) {
  const std::string messages = R"("messages":[{"role":"user","content":"m"}])";
  EXPECT_EQ(QuestionOf(R"({"problem":"p","prompt":"x",)" + messages + "}"),
            (Question{{"user", "m"}}));
  EXPECT_EQ(QuestionOf(R"({"problem":"p","question":"q","prompt":"x"})"), (Question{{"", "x"}}));
  EXPECT_EQ(QuestionOf(R"({"problem":"p","question":"q"})"), (Question{{"", "p"}}));
  EXPECT_EQ(QuestionOf(R"({"problem":null,"question":"q"})"), (Question{{"", "q"}}))
      << "null is nothing";
}

TEST(QuestionOf, IsNoConversationThatHoldsItsAnswer) {
  const std::string answered =
      R"("messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}])";
  EXPECT_EQ(QuestionOf("{\"problem\":\"p\"," + answered + "}"), (Question{{"", "p"}}));
  EXPECT_EQ(
      Refusal("{" + answered + "}"),
      "field \"messages\" ends with the assistant's message; the last message must be the one "
      "to answer");
}

TEST(QuestionOf, IsTheFieldThatIsConfigured) {
  EXPECT_EQ(QuestionOf(R"({"a":{"b":"q"},"prompt":"x"})", {.question = "a.b"}),
            (Question{{"", "q"}}));
  EXPECT_EQ(Refusal(R"({"a":{},"prompt":"x"})", {.question = "a.b"}),
            "field \"a.b\" is missing: \"a\" has no field; data.fields.question names the field to "
            "take");
  EXPECT_EQ(QuestionOf(R"({"prompt":"x"})", {.question = "a.b", .or_recognised = true}),
            (Question{{"", "x"}}));
}

TEST(QuestionOf, RefusesWhatIsNeitherTextNorConversation) {
  EXPECT_EQ(Refusal(R"({"prompt":3})"),
            "field \"prompt\" is 3; a text or a list of {\"role\", \"content\"} texts is needed");
  EXPECT_EQ(Refusal(R"({"messages":"hi"})"),
            "field \"messages\" is \"hi\"; a list of {\"role\", \"content\"} texts is needed");
  EXPECT_EQ(Refusal(R"({"messages":[]})"),
            "field \"messages\" has no message; a list of {\"role\", \"content\"} texts is needed");
  for (const char* message :
       {"\"q\"", R"({"role":"user"})", R"({"content":"q"})", R"({"role":1,"content":"q"})",
        R"({"role":"user","content":[{"type":"text","text":"q"}]})", "null"}) {
    EXPECT_THAT(Refusal("{\"prompt\":[" + std::string(message) + "]}"),
                StartsWith("field \"prompt\" is not a conversation; "))
        << message;
  }
}

TEST(QuestionOf, SaysWhatTheRecordHasInstead) {
  EXPECT_FALSE(HasQuestion(Record(R"({"promt":"x"})"), {}));
  EXPECT_EQ(
      Refusal(R"({"id":1,"promt":"x"})"),
      "the question is missing: the record has \"id\" and \"promt\"; did you mean \"prompt\" "
      "by \"promt\"? one of \"messages\", \"prompt\", \"problem\" and \"question\" is needed, "
      "or data.fields.question names another");
  EXPECT_THAT(Refusal("{}", {.setting = ""}), EndsWith("and \"question\" is needed"));
}

TEST(TextOf, CollapsesWhiteSpaceAndLeavesTheSystemOut) {
  EXPECT_EQ(TextOf({{"", " a\n\t b  c\r\n"}}), "a b c");
  EXPECT_EQ(TextOf({{"system", "Be brief."}, {"user", "a  b"}}), "a b");
  EXPECT_EQ(TextOf({{"user", "a"}, {"assistant", "b"}, {"user", "c"}}), "a b c");
}

}  // namespace
}  // namespace attnrl::data_set
