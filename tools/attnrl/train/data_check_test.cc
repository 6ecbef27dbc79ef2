// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/data_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A configuration whose model is a tokenizer alone; tests write its data sets.
class CheckDataTest : public ::testing::Test {
 protected:
  CheckDataTest() {
    folder_.Write("tokenizer.json", text::SmallTokenizer().dump());
    config_.model.path = folder_.path();
    config_.model.chat_template = "chatml";
  }
  void Train(const std::string& text) { config_.data.train = folder_.Write("train.jsonl", text); }
  void Evaluate(const std::string& name, const std::string& text) {
    config_.data.eval.push_back(folder_.Write(name, text));
  }
  // Paths are written as in the folder.
  std::string Short(const std::string& text) const {
    return absl::StrReplaceAll(text, {{folder_.path() + "/", ""}});
  }
  DataReport Report() const {
    const auto report = CheckData(config_, end_tokens_, ATTNRL_BINARY_DIR "/bin");
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(DataReport{});
  }
  std::string Refusal() const {
    const absl::Status status = CheckData(config_, end_tokens_, ATTNRL_BINARY_DIR "/bin").status();
    EXPECT_TRUE(IsInputError(status)) << status;
    return Short(std::string(status.message()));
  }

  const TemporaryFolder folder_;
  config::Config config_;
  std::vector<int32_t> end_tokens_ = {2};
};

TEST_F(CheckDataTest, WarnsOfQuestionsThatRepeatUnderOtherIds) {
  std::string text;
  for (int i = 0; i < 30; ++i) {
    text += R"({"id":"p)" + std::to_string(i) + R"(","prompt":"1+)" + std::to_string(i % 3) +
            R"(?","answer":"2"})" + "\n";
  }
  Train(text);
  EXPECT_THAT(Report().warnings,
              ::testing::ElementsAre("27 of 30 training problems repeat the question of an earlier "
                                     "one, so that 3 differ; the first one has the id \"p3\""));
}

TEST_F(CheckDataTest, ShowsHowTheFirstProblemIsAskedAndGraded) {
  config_.data.prompt_suffix = "\nBox it.";
  Train(R"({"question":"1+1?","answer":"We add.\n#### 2"})");
  EXPECT_EQ(Short(Report().first),
            "train.jsonl:1, id \"line-1\", is asked as\n"
            "        | <|im_start|>user\n"
            "        | 1+1?\n"
            "        | Box it.<|im_end|>\n"
            "        | <|im_start|>assistant\n"
            "        |\n"
            "        and graded by \"answer\": 2\n")
      << "through the model's template";
  Train(R"([{"id":7,"prompt":[{"role":"user","content":"1+1?"}],"answers":["2","two"]}])");
  EXPECT_EQ(Short(Report().first),
            "train.jsonl:1 (record 1), id \"7\", is asked as\n"
            "        | <|im_start|>user\n"
            "        | 1+1?\n"
            "        | Box it.<|im_end|>\n"
            "        | <|im_start|>assistant\n"
            "        |\n"
            "        and graded by \"answers\": 2 or two\n");
}

TEST_F(CheckDataTest, EverySetOfAStageIsCheckedAndSaidFromWhichStepOn) {
  Train(R"({"prompt":"1+1?","answer":"2"})");
  const std::string hard = folder_.Write("hard.jsonl", R"({"prompt":"12+34?","answer":"46"})");
  config_.stages = {{10, {{"learner.learning_rate", "1e-7"}}}, {20, {{"data.train", hard}}}};
  const DataReport report = Report();
  EXPECT_EQ(
      Short(report.summary),
      "train.jsonl: 1 problems, prompts of 54 tokens on average, 54 at most\n"
      "        from step 20 on hard.jsonl: 1 problems, prompts of 56 tokens on average, 56 at "
      "most");
  EXPECT_EQ(report.longest_prompt, 56);
  EXPECT_THAT(Short(report.first), HasSubstr("2\n        hard.jsonl:1, id \"line-1\", is asked"));
  // What is wrong with each of them is said at once.
  Train(R"({"prompt":"1+1?"})");
  folder_.Write("hard.jsonl", "{\"prompt\":\"1+1?\",\"answer\":\"2\"}\n{}\n");
  EXPECT_THAT(Refusal(), HasSubstr("train.jsonl:1: "));
  EXPECT_THAT(Refusal(), HasSubstr("; and hard.jsonl:2: "));
}

TEST_F(CheckDataTest, APromptOutsideTheModelsVocabularyIsRefusedOrLeftOut) {
  folder_.Write("config.json", R"({"vocab_size": 259})");
  Train("{\"prompt\":\"1+1?\",\"answer\":\"2\"}\n{\"prompt\":\"<end>?\",\"answer\":\"3\"}\n");
  EXPECT_THAT(Refusal(), HasSubstr("train.jsonl:2: the prompt: has token 259 (<end>); ids below"));
  config_.data.skip_bad = true;
  EXPECT_THAT(Report().warnings,
              ::testing::Contains(HasSubstr("train.jsonl can't be used and is left out")));
}

TEST_F(CheckDataTest, WarnsOfATemplateWhoseTurnsEndWithNoEndToken) {
  Train(R"({"prompt":"1+1?","answer":"2"})");
  EXPECT_THAT(Report().warnings, IsEmpty()) << "<|im_end|> is no special token of this tokenizer";
  config_.model.chat_template = "";
  folder_.Write("chat_template.jinja", "{% for m in messages %}{{ m.content }}<end>\n{% endfor %}");
  const auto warnings = Report().warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(
      warnings[0],
      "the chat template ends a turn with <end> (token 259), which is none of the model's end "
      "tokens (2); eos_token_id of generation_config.json should name it too");
  end_tokens_ = {2, 259};
  EXPECT_THAT(Report().warnings, IsEmpty());
}

TEST(ProblemTextOf, ALongOneIsCutInItsMiddleAndBetweenCharacters) {
  data_set::Problem problem{.id = "a", .where = "in:1"};
  problem.answers = {std::vector<std::string>(7, std::string(100, '1')), "answers"};
  std::string prompt;
  for (int i = 0; i < 1000; ++i) prompt += "\u00e9";
  const std::string text = ProblemText(problem, "x" + prompt + "\x1b[2J end");
  EXPECT_THAT(text, HasSubstr("\u00e9 [... 1260 bytes are not shown ...] \u00e9"));
  EXPECT_THAT(text, HasSubstr("\\x1b[2J end\n")) << "what would move the terminal's cursor";
  EXPECT_THAT(text, HasSubstr(std::string(80, '1') + "... or "));
  EXPECT_THAT(text, HasSubstr(" or 2 more\n"));
}

TEST_F(CheckDataTest, WarnsOfTrainingProblemsThatAreAlsoMeasuredOn) {
  Train(R"({"problem":"1+1?","answer":2})"
        "\n"
        R"({"problem":"2 +  2?","answer":4})"
        "\n"
        R"({"problem":"3+3?","answer":6})"
        "\n");
  EXPECT_THAT(Report().warnings, IsEmpty());
  Evaluate("a.jsonl", R"({"question":"4+4?","answer":8})");
  EXPECT_THAT(Report().warnings, IsEmpty());
  Evaluate("b.json", R"([{"question":"3+3?","answer":6},{"question":"2 + 2?","answer":4}])");
  const DataReport report = Report();
  ASSERT_EQ(report.warnings.size(), 1u);
  EXPECT_EQ(Short(report.warnings[0]),
            "2 of 3 training problems also stand in an evaluation set; the first one is at "
            "train.jsonl:2 and at b.json:1 (record 2)");
}

TEST_F(CheckDataTest, WithSkipBadAnswersThatNothingCanMatchAreCountedAndLeftOut) {
  const std::string bad = R"({"prompt":"x?","answer":"\\frac{1}{"})"
                          "\n";
  Train(bad + R"({"prompt":"1+1?","answer":2})" + "\n" + bad + bad + bad);
  EXPECT_EQ(
      Refusal(),
      "train.jsonl:1: accepted answer \"\\frac{1}{\" can be matched by no response; an answer "
      "that the grader can read is needed");
  config_.data.skip_bad = true;
  Evaluate("eval.jsonl", R"({"prompt":"y?","answer":"\\frac{1}{"})"
                         "\n"
                         R"({"prompt":"2+2?","answer":4})");
  const DataReport report = Report();
  EXPECT_THAT(report.summary, ::testing::StartsWith("1 problems, "));
  EXPECT_THAT(Short(report.first), ::testing::StartsWith("train.jsonl:2, id \"line-2\", "));
  ASSERT_EQ(report.warnings.size(), 2u);
  EXPECT_EQ(Short(report.warnings[0]),
            "4 records have an accepted answer that no response can match, and are left out: "
            "train.jsonl:1, train.jsonl:3, train.jsonl:4 and 1 more");
  EXPECT_EQ(Short(report.warnings[1]),
            "1 record has an accepted answer that no response can match: eval.jsonl:1");
}

TEST_F(CheckDataTest, ASetOfNothingElseIsRefused) {
  config_.data.skip_bad = true;
  Train(R"({"prompt":"x?","answer":"\\frac{1}{"})");
  EXPECT_EQ(Refusal(),
            "train.jsonl: no record has an accepted answer that a response can match; at least one "
            "is needed");
}

TEST_F(CheckDataTest, TakesTheConfiguredFieldsAndInEvaluationSetsRecognisedOnesToo) {
  Train(R"({"text":"1+1?","gold":{"value":2}})");
  config_.data.fields.question = "text";
  EXPECT_THAT(Refusal(), HasSubstr("train.jsonl:1: the answer is missing: the record has \"gold\" "
                                   "and \"text\"; one of "));
  config_.data.fields.answer = "gold.valeu";
  EXPECT_EQ(Refusal(),
            "train.jsonl:1: field \"gold.valeu\" is missing: \"gold\" has \"value\"; did you mean "
            "\"value\"? data.fields.answer names the field to take");
  config_.data.fields.answer = "gold.value";
  Evaluate("eval.jsonl", R"({"question":"2+2?","answer":"4"})");
  EXPECT_THAT(Report().first, HasSubstr("and graded by \"gold.value\": 2\n"));
}

TEST_F(CheckDataTest, NamesARecordThatIsWrongInAnyOfTheSets) {
  Train(R"({"id":1,"prompt":"1+1?","answer":2})"
        "\n"
        R"({"id":1,"prompt":"1+2?","answer":3})");
  EXPECT_EQ(Refusal(),
            "train.jsonl:2: id \"1\" is used twice; ids must be unique; the other one is at "
            "train.jsonl:1");
  Train(R"({"id":1,"prompt":"1+1?","answer":2})");
  Evaluate("eval.jsonl", R"({"qestion":"1+1?","answer":2})");
  EXPECT_THAT(Refusal(), HasSubstr("eval.jsonl:1: the question is missing: the record has "
                                   "\"answer\" and \"qestion\"; did you mean \"question\" by "
                                   "\"qestion\"? "));
}

}  // namespace
}  // namespace attnrl::tools
