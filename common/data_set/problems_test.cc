// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/data_set/testing/record.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::data_set {
namespace {

using ::testing::ElementsAre;

class ReadProblemsTest : public ::testing::Test {
 protected:
  // "line id question=answer" of each problem, then the error, its path written as "in".
  std::vector<std::string> Read(const std::string& text, const std::string& name = "in") const {
    const std::string path = folder_.Write(name, text);
    std::vector<std::string> out;
    const absl::Status status = ReadProblems(path, {}, [&](const Problem& problem) {
      EXPECT_TRUE(absl::StartsWith(problem.where, absl::StrCat(path, ":", problem.line)));
      out.push_back(absl::StrCat(problem.line, " ", problem.id, " ", problem.question[0].second,
                                 "=", problem.answers.texts[0]));
      return absl::OkStatus();
    });
    if (status.ok()) return out;
    EXPECT_TRUE(IsInputError(status));
    out.push_back(absl::StrReplaceAll(Message(status), {{path, "in"}}));
    return out;
  }

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};
};

constexpr char kFirst[] = R"({"problem":"1+1?","answer":2})";
constexpr char kSecond[] = R"({"problem":"2+2?","answer":4})";

TEST_F(ReadProblemsTest, ReadsLinesAndListsWhateverTheFileIsCalled) {
  for (const char* name : {"in.jsonl", "in.json", "in.txt", "in"}) {
    EXPECT_THAT(Read(absl::StrCat(kFirst, "\n\n", kSecond), name),
                ElementsAre("1 line-1 1+1?=2", "3 line-3 2+2?=4"));
    EXPECT_THAT(Read(absl::StrCat("[", kFirst, ",\n", kSecond, "]"), name),
                ElementsAre("1 record-1 1+1?=2", "2 record-2 2+2?=4"));
  }
}

TEST_F(ReadProblemsTest, NamesTheFirstRecordThatIsWrong) {
  EXPECT_THAT(
      Read(absl::StrCat(kFirst, "\n{\"id\"")),
      ElementsAre("1 line-1 1+1?=2", "in:2: not JSON at byte 6; one JSON object a line is needed"));
  EXPECT_THAT(
      Read(R"([{"problem":"x","answer":true}])"),
      ElementsAre("in:1 (record 1): field \"answer\" is true; a text, a number or a list of "
                  "them is needed"));
  EXPECT_THAT(Read(R"({"id":1,"question":"x","answer":1})"
                   "\n"
                   R"({"id":1,"question":"y","answer":2})"),
              ElementsAre("1 1 x=1",
                          "in:2: id \"1\" is used twice; ids must be unique; the other one is at "
                          "in:1"));
}

TEST_F(ReadProblemsTest, LeavesBadRecordsOutWhereThatIsAskedFor) {
  const std::string path = folder_.Write(
      "in", absl::StrCat(kFirst, "\n{\"problem\":\"?\",\"answer\":\" \"}\nnonsense\n", kSecond));
  FieldNames names;
  names.skip_bad = true;
  int64_t skipped = 0;
  std::vector<std::string> read;
  const absl::Status status = ReadProblems(
      path, names,
      [&read](const Problem& problem) {
        read.push_back(problem.id);
        return absl::OkStatus();
      },
      &skipped);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(read, ElementsAre("line-1", "line-4"));
  EXPECT_EQ(skipped, 2);
}

TEST_F(ReadProblemsTest, WithNothingButBadRecordsHasNoProblem) {
  FieldNames names;
  names.skip_bad = true;
  const absl::Status status = ReadProblems(folder_.Write("in", "{}"), names,
                                           [](const Problem&) { return absl::OkStatus(); });
  EXPECT_TRUE(IsInputError(status)) << status;
}

TEST_F(ReadProblemsTest, TakesTheGraderThatARecordNames) {
  const auto first = FirstProblem(
      folder_.Write("in", R"({"problem":"x","answer":"B","grader":"multiple_choice"})"), {});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->grader, "multiple_choice");
  EXPECT_EQ(FirstProblem(folder_.Write("in", kFirst), {})->grader, "");
  EXPECT_FALSE(
      FirstProblem(folder_.Write("in", R"({"problem":"x","answer":"B","grader":7})"), {}).ok());
}

TEST_F(ReadProblemsTest, RefusesAFileWithoutProblems) {
  for (const char* text : {"", "\n\n", "[]", "[\n]"}) {
    EXPECT_THAT(Read(text), ElementsAre("in: the data set has no problem; at least one is needed"));
  }
}

TEST_F(ReadProblemsTest, EndsWithAnErrorOfItsUse) {
  const std::string path = folder_.Write("in", absl::StrCat(kFirst, "\n", kSecond));
  int64_t seen = 0;
  const absl::Status status = ReadProblems(path, {}, [&](const Problem&) {
    ++seen;
    return absl::InternalError("broken");
  });
  EXPECT_EQ(Message(status), "broken");
  EXPECT_EQ(seen, 1);
}

TEST_F(ReadProblemsTest, TheFirstAloneNeedsOnlyItsOwnRecordToBeRight) {
  const std::string path = folder_.Write("in", absl::StrCat(kFirst, "\n{"));
  const auto first = FirstProblem(path, {});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->where, path + ":1");
  EXPECT_EQ(first->answers.field, "answer");
  const std::string both = folder_.Write("both", absl::StrCat(kFirst, "\n", kSecond));
  EXPECT_EQ(FirstProblem(both, {}, {first->id})->where, both + ":2") << "but the first one";
  EXPECT_FALSE(FirstProblem(folder_.Write("in", "{"), {}).ok());
  EXPECT_FALSE(FirstProblem(folder_.Write("in", ""), {}).ok());
}

}  // namespace
}  // namespace attnrl::data_set
