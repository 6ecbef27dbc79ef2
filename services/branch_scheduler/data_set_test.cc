// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/data_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One token a byte; a conversation's turns are joined by '|'.
absl::StatusOr<std::vector<int32_t>> Bytes(const data_set::Question& question) {
  std::vector<int32_t> ids;
  for (const auto& [role, content] : question) {
    for (const std::string& part : {role, content}) ids.insert(ids.end(), part.begin(), part.end());
    if (question.size() > 1) ids.push_back('|');
  }
  return ids;
}

absl::StatusOr<DataSet> LoadLines(const std::string& text, uint32_t limit = 100) {
  const TemporaryFolder folder;
  return LoadDataSet("data.train", folder.Write("data_set.jsonl", text), {}, limit, Bytes);
}

void ExpectRefused(const std::string& text, const std::string& part) {
  const auto set = LoadLines(text);
  ASSERT_FALSE(set.ok()) << text;
  EXPECT_TRUE(IsInputError(set.status())) << set.status();
  EXPECT_THAT(std::string(set.status().message()), HasSubstr(part));
}

constexpr char kGood[] = R"({"id":"a","prompt":"1+1=","answers":["2"],"source":"x"})";

TEST(DataSet, ReadsTextsAndConversations) {
  const auto set =
      LoadLines(std::string(kGood) + "\n\n" +
                R"({"id":7,"messages":[{"role":"u","content":"hi"}],"answers":["x","y"]})");
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->problems.size(), 2u);
  EXPECT_THAT(set->problems[0].prompt_ids, ElementsAre('1', '+', '1', '='));
  EXPECT_EQ(set->problems[1].id, "7");
  EXPECT_THAT(set->problems[1].prompt_ids, ElementsAre('u', 'h', 'i'));
  EXPECT_THAT(set->problems[1].answers, ElementsAre("x", "y"));
  EXPECT_EQ(set->digest.size(), 64u);
}

TEST(DataSet, JoinedOnesArePartsInTheirOrder) {
  const DataSet one = *LoadLines(R"({"id":"a","prompt":"x","answer":"1"})");
  EXPECT_THAT(one.Parts(), ElementsAre(DataPart{0, 1}));
  const DataSet two =
      *LoadLines(R"([{"id":"a","prompt":"y","answer":"2"},{"id":"b","prompt":"z","answer":"3"}])");
  const DataSet all = Join({one, two, one});
  EXPECT_THAT(all.Parts(), ElementsAre(DataPart{0, 1}, DataPart{1, 2}, DataPart{3, 1}));
  ASSERT_EQ(all.problems.size(), 4u);
  EXPECT_THAT(all.problems[2].answers, ElementsAre("3"));
  EXPECT_THAT(all.problems[3].prompt_ids, ElementsAre('x'));
}

TEST(DataSet, ABadRecordIsNamedByFileAndLine) {
  const std::string good = std::string(kGood) + "\n";
  ExpectRefused(good + "{", ".jsonl:2");
  ExpectRefused(good + R"({"prompt":"x","answers":["1"]})", ".jsonl:2");
  ExpectRefused(good + R"({"id":"b","prompt":"x","answers":[]})", ".jsonl:2");
  ExpectRefused(good + R"({"id":"b","prompt":"x"})", "answers");
  ExpectRefused(good + R"({"id":"b","answers":["1"]})", "prompt");
  ExpectRefused(good + R"({"id":"b","prompt":3,"answers":["1"]})", "prompt");
  ExpectRefused(good + R"({"id":"b","messages":[{"role":"u"}],"answers":["1"]})", "messages");
  ExpectRefused(good + R"({"id":"b","prompt":"","answers":["1"]})", "the prompt is empty");
}

TEST(DataSet, TheSameIdTwiceIsRefusedNamingBothLines) {
  ExpectRefused(absl::StrCat(kGood, "\n", kGood), ".jsonl:1");
}

TEST(DataSet, APromptOverTheLimitIsRefused) {
  const auto set = LoadLines(kGood, 3);
  EXPECT_THAT(std::string(set.status().message()),
              HasSubstr(".jsonl:1: the prompt has 4 tokens; rollout.max_prompt_tokens"));
}

TEST(DataSet, OfARecordWithBothTheConversationCounts) {
  const auto set = LoadLines(
      R"({"id":1,"prompt":"text","messages":[{"role":"u","content":"hi"}],"answers":["x"]})");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(set->problems[0].prompt_ids, ElementsAre('u', 'h', 'i'));
}

TEST(DataSet, TakesTheFieldsThatAreNamed) {
  const TemporaryFolder folder;
  const std::string file =
      folder.Write("data_set.json", R"([{"text":"1+1=","reward_model":{"ground_truth":2.0}}])");
  const auto set = LoadDataSet(
      "data.train", file, {.question = "text", .answer = "reward_model.ground_truth"}, 10, Bytes);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->problems[0].id, "record-1");
  EXPECT_THAT(set->problems[0].prompt_ids, ElementsAre('1', '+', '1', '='));
  EXPECT_THAT(set->problems[0].answers, ElementsAre("2.0"));
}

TEST(DataSet, AnEmptyOrMissingFileIsRefused) {
  ExpectRefused("\n", "no problem");
  const auto missing = LoadDataSet("data.eval", "/no/such/file.jsonl", {}, 10, Bytes);
  EXPECT_TRUE(IsInputError(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("data.eval: /no/such/file.jsonl"));
}

}  // namespace
}  // namespace attnrl::scheduler
