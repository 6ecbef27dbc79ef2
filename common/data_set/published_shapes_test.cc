// SPDX-License-Identifier: Apache-2.0
// Records in the forms of published data sets, as they come out of their files. The texts are made
// up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "common/data_set/problems.h"
#include "common/testing/shared_data.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::data_set {
namespace {

struct Shape {
  const char* name;
  const char* record;
  Question question;
  std::vector<std::string> answers;
  std::string field;
  std::string id;
};

void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.name; }

std::vector<Shape> Shapes() {
  const Question text = {{"", "1+1?"}};
  const Question chat = {{"user", "1+1?"}};
  return {
      {"DeepScaleRPreview",
       R"({"problem":"1+1?","answer":"2","solution":"We add: \\boxed{3}."})",
       text,
       {"2"},
       "answer",
       "line-1"},
      {"DeepScaleRPreviewWithoutSolution",
       R"({"problem":"1+1?","answer":"2","solution":""})",
       text,
       {"2"},
       "answer",
       "line-1"},
      {"DapoMath17k",
       R"({"data_source":"math_dapo","prompt":[{"content":"1+1?","role":"user"}],"ability":"MATH",)"
       R"("reward_model":{"ground_truth":"2","style":"rule-lighteval/MATH_v2"},)"
       R"("extra_info":{"index":"9a9b6eb4-a1cb-49d1-8c1e-62eaf2f74079"}})",
       chat,
       {"2"},
       "reward_model.ground_truth",
       "9a9b6eb4-a1cb-49d1-8c1e-62eaf2f74079"},
      {"DapoMath17kProcessed",
       R"({"prompt":"1+1?","solution":"2","data_source":"math_dapo",)"
       R"("source_prompt":[{"content":"Solve: 1+1?","role":"user"}],"ability":"MATH",)"
       R"("reward_model":{"ground_truth":"2","style":"rule"},"extra_info":{"index":"a"}})",
       text,
       {"2"},
       "reward_model.ground_truth",
       "a"},
      {"Math500",
       R"({"problem":"1+1?","solution":"It is $\\boxed{2}$.","answer":"2","subject":"Algebra",)"
       R"("level":1,"unique_id":"test/algebra/1.json"})",
       text,
       {"2"},
       "answer",
       "test/algebra/1.json"},
      {"Math",
       R"({"problem":"1+1?","level":"Level 1","type":"Algebra",)"
       R"("solution":"It is $\\boxed{2}$, \\boxed{\\frac{4}{2}}."})",
       text,
       {"\\frac{4}{2}"},
       "solution",
       "line-1"},
      {"Aime2024",
       R"({"ID":"2024-II-4","Problem":"1+1?","Solution":"Adding gives \\boxed{3}","Answer":33})",
       text,
       {"33"},
       "Answer",
       "2024-II-4"},
      {"Aime2025", R"({"problem":"1+1?","answer":"2","id":"0"})", text, {"2"}, "answer", "0"},
      {"Amc",
       R"({"id":0,"problem":"1+1?","answer":142.0,"url":"https://example.org"})",
       text,
       {"142.0"},
       "answer",
       "0"},
      {"Amc23",
       R"({"id":0,"question":"1+1?","answer":"27","url":"https://example.org"})",
       text,
       {"27"},
       "answer",
       "0"},
      {"Minerva", R"({"question":"1+1?","answer":"2\n"})", text, {"2\n"}, "answer", "line-1"},
      {"MinervaWorked",
       R"({"problem":"1+1?","type":"Introduction","solution":"We add.\n\\boxed{2}","idx":0})",
       text,
       {"2"},
       "solution",
       "line-1"},
      {"OlympiadBench",
       R"({"id":1606,"question":"1+1?","solution":["We add."],"final_answer":["2","1+1"],)"
       R"("context":null,"is_multiple_answer":true,"unit":null,"answer_type":"Numerical"})",
       text,
       {"2", "1+1"},
       "final_answer",
       "1606"},
      {"Gsm8k",
       R"({"question":"1+1?","answer":"We add 1+1=<<1+1=2>>2 eggs.\n#### 2"})",
       text,
       {"2"},
       "answer",
       "line-1"},
      {"Gsm8kOfVerl",
       R"({"data_source":"openai/gsm8k","prompt":[{"content":"1+1?","role":"user"}],)"
       R"("ability":"math","reward_model":{"ground_truth":"2","style":"rule"},"extra_info":)"
       R"({"answer":"We add.\n#### 2","index":0,"question":"1+1?","split":"train"}})",
       chat,
       {"2"},
       "reward_model.ground_truth",
       "0"},
      {"NuminaMath",
       R"({"source":"amc","problem":"1+1?","solution":"\\boxed{2}","messages":)"
       R"([{"content":"1+1?","role":"user"},{"content":"\\boxed{2}","role":"assistant"}]})",
       text,
       {"2"},
       "solution",
       "line-1"},
      {"Attnrl",
       R"({"id":"a","source":"x","prompt":"1+1?","answers":["2","two"]})",
       text,
       {"2", "two"},
       "answers",
       "a"},
  };
}

class PublishedShape : public ::testing::TestWithParam<Shape> {};

TEST_P(PublishedShape, IsRecognisedWithoutAnySetting) {
  const TemporaryFolder folder{TemporaryFolder::On::kMemory};
  const auto problem = FirstProblem(folder.Write("in.jsonl", GetParam().record), {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->question, GetParam().question);
  EXPECT_EQ(problem->answers.texts, GetParam().answers);
  EXPECT_EQ(problem->answers.field, GetParam().field);
  EXPECT_EQ(problem->id, GetParam().id);
}

INSTANTIATE_TEST_SUITE_P(Of, PublishedShape, ::testing::ValuesIn(Shapes()),
                         [](const auto& instance) { return instance.param.name; });

// But for two answers of dapo_math_train, which are empty.
TEST(PublishedSets, BesideTheRepositoryAreReadWhole) {
  const std::string shared = SharedData("data/sets");
  if (!std::filesystem::exists(shared)) GTEST_SKIP() << shared << " is not there";
  for (const auto& file : std::filesystem::directory_iterator(shared)) {
    int64_t problems = 0;
    int64_t skipped = 0;
    FieldNames names;
    names.skip_bad = true;
    const auto use = [&](const Problem& problem) {
      EXPECT_EQ(problem.answers.field, "answers");
      ++problems;
      return absl::OkStatus();
    };
    const absl::Status status = ReadProblems(file.path(), names, use, &skipped);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(skipped, file.path().stem() == "dapo_math_train" ? 2 : 0) << file.path();
    EXPECT_GE(problems, 30) << file.path();
  }
}

}  // namespace
}  // namespace attnrl::data_set
