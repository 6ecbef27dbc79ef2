// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/data_set/testing/record.h"

namespace attnrl::data_set {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

// The field that the answers of a record come from, then the answers.
std::vector<std::string> AnswersOf(const std::string& text, const FieldNames& names = {}) {
  const auto answers = AnswersOf(Record(text), names);
  EXPECT_TRUE(answers.ok()) << answers.status();
  if (!answers.ok()) return {};
  std::vector<std::string> out = {answers->field};
  out.insert(out.end(), answers->texts.begin(), answers->texts.end());
  return out;
}

// The error behind "in.jsonl:3: ".
std::string Refusal(const std::string& text, const FieldNames& names = {}) {
  const absl::Status status = AnswersOf(Record(text), names).status();
  EXPECT_TRUE(IsInputError(status)) << text;
  EXPECT_THAT(Message(status), StartsWith("in.jsonl:3: "));
  return Message(status).substr(12);
}

TEST(AnswersOf, AreFoundUnderEachRecognisedName) {
  for (const std::string name : {"answers", "answer", "Answer", "final_answer"}) {
    EXPECT_THAT(AnswersOf("{\"" + name + R"(":"72"})"), ElementsAre(name, "72"));
    EXPECT_THAT(AnswersOf("{\"" + name + R"(":["72","073"]})"), ElementsAre(name, "72", "073"));
    EXPECT_THAT(AnswersOf("{\"" + name + R"(":72})"), ElementsAre(name, "72"));
  }
  EXPECT_THAT(AnswersOf(R"({"reward_model":{"ground_truth":"34","style":"rule"}})"),
              ElementsAre("reward_model.ground_truth", "34"));
}

TEST(AnswersOf, AreNumbersAsTheyAreWritten) {
  EXPECT_THAT(AnswersOf(R"({"answer":0.50})"), ElementsAre("answer", "0.50"));
  EXPECT_THAT(AnswersOf(R"({"answer":-7})"), ElementsAre("answer", "-7"));
  EXPECT_THAT(AnswersOf(R"({"answers":[1,2.0,"x",1e-7]})"),
              ElementsAre("answers", "1", "2.0", "x", "1e-7"));
  EXPECT_THAT(AnswersOf(R"({"a":{"b":[3.10]}})", {.answer = "a.b"}), ElementsAre("a.b", "3.10"));
  EXPECT_THAT(AnswersOf(R"({"answer":18446744073709551616})"),
              ElementsAre("answer", "18446744073709551616"));
}

TEST(AnswersOf, AreTheFinalAnswerOfATextThatHasOne) {
  EXPECT_THAT(AnswersOf(R"({"answer":"48/2=24\n48+24=72\n#### 72"})"), ElementsAre("answer", "72"));
  EXPECT_THAT(AnswersOf(R"({"answer":"so $\\boxed{72}$"})"), ElementsAre("answer", "72"));
  EXPECT_THAT(AnswersOf(R"({"answers":["a #### 72"]})"), ElementsAre("answers", "a #### 72"))
      << "a list has accepted answers and no worked ones";
  EXPECT_THAT(AnswersOf("{\"answer\":\"9.6\\n\"}"), ElementsAre("answer", "9.6\n"))
      << "the grader strips";
  EXPECT_EQ(Refusal(R"({"answer":"worked\n####"})"),
            "nothing stands behind #### in field \"answer\"; the accepted answer is needed there");
}

TEST(AnswersOf, AreThoseOfASolutionOnlyWhereNothingBetterIsThere) {
  const std::string solution = R"("solution":"so \\boxed{1}")";
  EXPECT_THAT(AnswersOf("{" + solution + "}"), ElementsAre("solution", "1"));
  EXPECT_THAT(AnswersOf(R"({"Solution":"x #### 5"})"), ElementsAre("Solution", "5"));
  EXPECT_THAT(AnswersOf("{\"answer\":\"2\"," + solution + "}"), ElementsAre("answer", "2"));
  EXPECT_THAT(AnswersOf(R"({"reward_model":{"ground_truth":"3"},)" + solution + "}"),
              ElementsAre("reward_model.ground_truth", "3"));
  for (const char* empty : {"null", "\"\"", "[]"}) {
    EXPECT_THAT(AnswersOf("{\"answer\":" + std::string(empty) + "," + solution + "}"),
                ElementsAre("solution", "1"))
        << empty;
  }
}

TEST(AnswersOf, AreThoseOfTheFirstNameThatIsNotEmpty) {
  EXPECT_THAT(AnswersOf(R"({"answers":[],"answer":"1","final_answer":"2"})"),
              ElementsAre("answer", "1"));
  EXPECT_THAT(AnswersOf(R"({"answers":["0"],"answer":"1"})"), ElementsAre("answers", "0"));
}

TEST(AnswersOf, AreTheFieldThatIsConfigured) {
  EXPECT_THAT(AnswersOf(R"({"gold":"2","answer":"1"})", {.answer = "gold"}),
              ElementsAre("gold", "2"));
  EXPECT_THAT(AnswersOf(R"({"solution":"34"})", {.answer = "solution"}),
              ElementsAre("solution", "34"))
      << "what a setting names needs no box";
  EXPECT_EQ(Refusal(R"({"golden":"2","answer":"1"})", {.answer = "gold"}),
            "field \"gold\" is missing: the record has \"answer\" and \"golden\"; did you mean "
            "\"golden\"? data.fields.answer names the field to take");
  EXPECT_EQ(Refusal(R"({"gold":[],"answer":"1"})", {.answer = "gold"}),
            "field \"gold\" is empty; at least one accepted answer is needed");
  EXPECT_THAT(AnswersOf(R"({"answer":"1"})", {.answer = "gold", .or_recognised = true}),
              ElementsAre("answer", "1"));
}

TEST(AnswersOf, RefuseWhatIsEmptyOrNoAnswer) {
  const std::string needed = "; a text, a number or a list of them is needed";
  EXPECT_EQ(Refusal(R"({"answer":true})"), "field \"answer\" is true" + needed);
  EXPECT_EQ(Refusal(R"({"answer":{"a":1}})"), "field \"answer\" is {\"a\":1}" + needed);
  EXPECT_EQ(Refusal(R"({"answers":["1",null]})"), "field \"answers\" is [\"1\",null]" + needed);
  EXPECT_EQ(Refusal(R"({"answers":[["1"]]})"), "field \"answers\" is [[\"1\"]]" + needed);
  EXPECT_EQ(Refusal(R"({"answers":[]})"),
            "field \"answers\" is empty; at least one accepted answer is needed");
  EXPECT_EQ(Refusal(R"({"answer":"","solution":"no box"})"),
            "field \"answer\" is empty; at least one accepted answer is needed");
}

TEST(AnswersOf, SayWhatTheRecordHasInstead) {
  EXPECT_EQ(
      Refusal(R"({"id":1,"anwser":"2"})"),
      "the answer is missing: the record has \"anwser\" and \"id\"; did you mean \"answer\" by "
      "\"anwser\"? one of \"answer\", \"answers\", \"final_answer\", "
      "\"reward_model.ground_truth\" and \"solution\" is needed, or data.fields.answer names "
      "another");
  EXPECT_EQ(Refusal(R"({"solution":"It is two."})"),
            "the answer is missing: field \"solution\" has neither \\boxed{} nor ####; a solution "
            "with one of them or a field \"answer\", \"answers\", \"final_answer\" or "
            "\"reward_model.ground_truth\" is needed, or data.fields.answer names another");
}

}  // namespace
}  // namespace attnrl::data_set
