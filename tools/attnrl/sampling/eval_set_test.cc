// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/eval_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;

class EvalSetTest : public ::testing::Test {
 protected:
  EvalSetTest() { folder_.Write("tokenizer.json", text::SmallTokenizer().dump()); }

  absl::StatusOr<EvalSet> Read(const std::string& content, const data_set::FieldNames& names = {},
                               const std::string& grader = "math") {
    folder_.Write("unseen.jsonl", content);
    PromptReader reader({.model_dir = folder_.path(), .context = 50, .vocabulary = 260},
                        *text::Tokenizer::Load(folder_.path()));
    return ReadEvalSet(folder_.path() + "/unseen.jsonl", names, grader, reader);
  }

  TemporaryFolder folder_;
};

TEST_F(EvalSetTest, IsNamedByItsFile) {
  const auto set = Read(R"({"id":"a","prompt":"x","answers":["1","2"]})");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->name, "unseen");
  EXPECT_EQ(set->prompts.size(), 1u);
  EXPECT_EQ(set->answers[0].size(), 2u);
}

TEST_F(EvalSetTest, TakesPublishedFormsAndTheFieldsThatAreNamed) {
  const auto set = Read(R"([{"question":"x","answer":"worked\n#### 72"}])");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->answers[0], std::vector<std::string>{"72"});
  const auto named = Read(R"({"prompt":"x","gold":0.50})", {.answer = "gold"});
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->answers[0], std::vector<std::string>{"0.50"});
}

TEST_F(EvalSetTest, HasTheGraderThatAProblemNamesAndOtherwiseTheOneGiven) {
  const auto set = Read(R"({"prompt":"x","answer":"A","grader":"multiple_choice"}
{"prompt":"y","answer":"7"})",
                        {}, "exact_match");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->graders, (std::vector<std::string>{"multiple_choice", "exact_match"}));
  EXPECT_THAT(std::string(Read(R"({"prompt":"x","answer":"A","grader":"mth"})").status().message()),
              HasSubstr("unseen.jsonl:1: field \"grader\" holds \"mth\"; graders are math, "));
}

TEST_F(EvalSetTest, RefusesAnEmptySetAndRecordsWithoutAnswers) {
  EXPECT_THAT(std::string(Read("").status().message()), HasSubstr("no problem"));
  EXPECT_THAT(std::string(Read(R"({"id":"a","prompt":"x","answers":[]})").status().message()),
              HasSubstr("unseen.jsonl:1: field \"answers\" is empty"));
}

EvalResult TwoProblems() {
  EvalSet set{.name = "s", .prompts = {{1}, {2}}, .answers = {{"1"}, {"2"}}};
  EvalTally tally(set, 4);
  tally.correct = {1, 0};
  tally.response_tokens = 80;
  tally.truncated = 2;
  return Summarise(tally);
}

TEST(EvalResult, AveragesOverProblems) {
  const EvalResult result = TwoProblems();
  EXPECT_DOUBLE_EQ(result.pass_at_1.mean, 0.125);
  EXPECT_DOUBLE_EQ(result.pass_at_1.standard_error, 0.125);
  EXPECT_DOUBLE_EQ(result.pass_at_k.mean, 0.5);
  EXPECT_DOUBLE_EQ(result.response_tokens_mean, 10);
  EXPECT_DOUBLE_EQ(result.truncated_ratio, 0.25);
}

TEST(EvalResult, HasTheFormOfTheContract) {
  EXPECT_EQ(
      EvalJson({TwoProblems()}).dump(),
      R"({"sets":{"s":{"problems":2,"samples":4,"pass@1":0.125,"pass@1_se":0.125,"pass@k":0.5,)"
      R"("k":4,"response_tokens_mean":10.0,"truncated_ratio":0.25}},)"
      R"("average":{"pass@1":0.125,"pass@k":0.5}})");
}

TEST(EvalResult, IsATableForPeople) {
  EvalResult other = TwoProblems();
  other.name = "another-data-set";
  other.problems = 1319;
  other.pass_at_1 = {0.375, 0.0133};
  EXPECT_EQ(
      EvalTable({TwoProblems(), other}),
      "set              problems samples  pass@1           pass@k             tokens truncated\n"
      "s                       2       4  0.1250 +- 0.1250 0.5000 +- 0.5000      10.0    0.2500\n"
      "another-data-set     1319       4  0.3750 +- 0.0133 0.5000 +- 0.5000      10.0    0.2500\n"
      "average                            0.2500           0.5000\n");
}

TEST_F(EvalSetTest, NamesTheLineOfABadRecord) {
  const std::string good = "{\"prompt\":\"x\",\"answers\":[\"1\"]}\n";
  for (const char* bad :
       {"{\"prompt\":\"x\"}", "{\"prompt\":\"x\",\"answers\":true}", "{\"answers\":[\"1\"]}",
        "{\"prompt_ids\":[260],\"answers\":[\"1\"]}", "x"}) {
    EXPECT_THAT(std::string(Read(good + bad).status().message()), HasSubstr("unseen.jsonl:2: "))
        << bad;
  }
}

}  // namespace
}  // namespace attnrl::tools
