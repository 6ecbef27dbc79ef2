// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/answer_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace {

class CheckAnswersTest : public ::testing::Test {
 protected:
  absl::StatusOr<AnswerReport> Check(const std::string& text, const std::string& grader = "math",
                                     const data_set::FieldNames& names = {}) {
    return CheckAnswers(folder_.Write("in", text), names, grader, ATTNRL_BINARY_DIR "/bin");
  }
  std::string Refusal(const std::string& text, const std::string& grader = "math") {
    const absl::Status status = Check(text, grader).status();
    EXPECT_TRUE(IsInputError(status)) << status;
    return absl::StrReplaceAll(status.message(), {{folder_.path() + "/", ""}});
  }

  const TemporaryFolder folder_;
};

TEST_F(CheckAnswersTest, CountsThoseThatAreComparedAsText) {
  const auto report = Check(
      "{\"prompt\":\"a\",\"answers\":[\"1/2\",\"0.5\"]}\n"
      "{\"prompt\":\"b\",\"answer\":\"\\\\boxed{4}\"}\n"
      "{\"prompt\":\"c\",\"answer\":\"\\\\sum_{n} a_n\"}\n");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->answers, 4);
  EXPECT_EQ(report->text_only, 1);
  EXPECT_THAT(report->first_text_only, ::testing::EndsWith("in:3"));
}

TEST_F(CheckAnswersTest, NamesTheAnswerThatNothingCanMatch) {
  EXPECT_EQ(
      Refusal("{\"prompt\":\"a\",\"answer\":\"7\"}\n"
              "{\"prompt\":\"b\",\"answers\":[\"7\",\"\\\\frac{1}{\"]}"),
      "in:2: accepted answer \"\\frac{1}{\" can be matched by no response; an answer that the "
      "grader can read is needed");
}

TEST_F(CheckAnswersTest, WithSkipBadCountsThemAndSaysWhereTheyAre) {
  const auto report = Check(
      "{\"id\":1,\"prompt\":\"a\",\"answer\":\"\\\\frac{1}{\"}\n"
      "{\"id\":2,\"prompt\":\"b\",\"answer\":\"7\"}\n"
      "{\"id\":3,\"prompt\":\"c\",\"answers\":[\"7\",\"$ $\"]}\n",
      "math", {.skip_bad = true});
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->unmatchable.size(), 2u);
  EXPECT_THAT(report->unmatchable[0], ::testing::EndsWith("in:1"));
  EXPECT_THAT(report->unmatchable[1], ::testing::EndsWith("in:3"));
  EXPECT_THAT(report->unmatchable_ids, ::testing::ElementsAre("1", "3"));
}

TEST_F(CheckAnswersTest, AsksTheGraderThatTheRecordOrTheConfigurationNames) {
  const std::string choice = "{\"prompt\":\"a\",\"answer\":\"Paris\"}";
  EXPECT_TRUE(Check(choice, "exact_match").ok());
  EXPECT_THAT(Refusal(choice, "multiple_choice"), ::testing::HasSubstr("in:1: accepted answer"));
  EXPECT_TRUE(
      Check("{\"prompt\":\"a\",\"answer\":\"\\\\frac{1}{\",\"grader\":\"exact_match\"}").ok());
}

TEST_F(CheckAnswersTest, RefusesGradersThatAreNone) {
  const std::string graders = "; graders are math, exact_match, multiple_choice, numeric_tolerance";
  EXPECT_EQ(Refusal("{\"prompt\":\"a\",\"answer\":\"7\",\"grader\":\"maths\"}"),
            absl::StrCat("in:1: field \"grader\" holds \"maths\"", graders));
  EXPECT_EQ(Refusal("{\"prompt\":\"a\",\"answer\":\"7\"}", "maths"),
            absl::StrCat("data.grader: \"maths\"", graders));
}

// As many as one call takes, and more.
TEST_F(CheckAnswersTest, ReadsEveryAnswerOfALongSet) {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    absl::StrAppend(&text, "{\"prompt\":\"a\",\"answer\":\"", i, "\"}\n");
  }
  EXPECT_EQ(Check(text)->answers, 1000);
  EXPECT_THAT(Refusal(text + "{\"prompt\":\"a\",\"answer\":\"$ $\"}"),
              ::testing::StartsWith("in:1001: "));
}

}  // namespace
}  // namespace attnrl::tools
