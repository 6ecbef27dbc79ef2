// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/explanations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "tools/attnrl/tree/testing/test_record.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;

constexpr char kBinaries[] = ATTNRL_BINARY_DIR "/bin";

// A run whose problem "p7" has the answer 22.
class ExplanationsTest : public ::testing::Test {
 protected:
  ExplanationsTest() {
    folder_.Write("config.yaml", "model: {path: m}\ndata: {train: train.jsonl}\n");
    folder_.Write("train.jsonl", R"({"id":"p7","prompt":"?","answer":"22"})"
                                 "\n");
  }

  static std::string Decode(const std::vector<int32_t>& ids) { return {ids.begin(), ids.end()}; }

  // A record whose response, and the first continuation from token 2 on, are wrong.
  static nlohmann::json Record(const std::string& id) {
    nlohmann::json record = {{"problem_id", id}, {"responses", nlohmann::json::array()}};
    record["responses"].push_back({{"token_ids", Ids("so \\boxed{23}")}, {"reward", 0.0}});
    nlohmann::json branch = {{"split", 3}, {"children", nlohmann::json::array()}};
    branch["children"].push_back({{"token_ids", Ids("no box")}, {"reward", 0.0}});
    branch["children"].push_back({{"token_ids", Ids("\\boxed{21+1}")}, {"reward", 1.0}});
    record["responses"][0]["branches"].push_back(branch);
    record["responses"].push_back({{"token_ids", Ids("not graded")}});
    return record;
  }

  const TemporaryFolder folder_;
};

TEST_F(ExplanationsTest, SayOfWrongAnswersWhichRuleRefusedThem) {
  const auto explanations = Explanations::Open(folder_.path(), kBinaries);
  ASSERT_TRUE(explanations.ok()) << explanations.status();
  nlohmann::json record = Record("p7");
  ASSERT_TRUE((*explanations)->AddTo(&record, Decode).ok());
  const nlohmann::json& responses = record["responses"];
  EXPECT_EQ(responses[0]["explanation"],
            "answer: read as 23\nrefused for: 22\n  different exactly\n");
  EXPECT_FALSE(responses[0]["branches"][0]["children"][1].contains("explanation"));
  EXPECT_FALSE(responses[1].contains("explanation"));
}

TEST_F(ExplanationsTest, LookProblemsUpInTheDataOfTheBatchesStage) {
  folder_.Write("config.yaml",
                "model: {path: m}\ndata: {train: train.jsonl}\n"
                "stages:\n  - {from_step: 3, data.train: later.jsonl}\n");
  folder_.Write("later.jsonl", R"({"id":"p7","prompt":"?","answer":"33"})"
                               "\n");
  const auto explanations = Explanations::Open(folder_.path(), kBinaries);
  ASSERT_TRUE(explanations.ok()) << explanations.status();
  for (const int batch : {2, 3}) {
    nlohmann::json record = Record("p7");
    record["batch"] = batch;
    ASSERT_TRUE((*explanations)->AddTo(&record, Decode).ok());
    EXPECT_THAT(record["responses"][0]["explanation"].get<std::string>(),
                HasSubstr(batch == 2 ? "refused for: 22" : "refused for: 33"));
  }
}

TEST_F(ExplanationsTest, LeaveOutWhatTheDataSetDoesNotHave) {
  const auto explanations = Explanations::Open(folder_.path(), kBinaries);
  ASSERT_TRUE(explanations.ok()) << explanations.status();
  nlohmann::json record = Record("p8");
  const nlohmann::json before = record;
  EXPECT_TRUE((*explanations)->AddTo(&record, Decode).ok());
  EXPECT_EQ(record, before);
}

TEST_F(ExplanationsTest, NeedTheRunsConfiguration) {
  EXPECT_TRUE(IsInputError(Explanations::Open(folder_ / "none", kBinaries).status()));
  EXPECT_FALSE(Explanations::Open(folder_.path(), folder_ / "none").ok());
}

TEST_F(ExplanationsTest, SayOfARecordThatIsNoneWhatIsMissing) {
  const auto explanations = Explanations::Open(folder_.path(), kBinaries);
  nlohmann::json record = {{"problem_id", "p7"}};
  EXPECT_THAT(std::string((*explanations)->AddTo(&record, Decode).message()),
              HasSubstr("responses"));
}

}  // namespace
}  // namespace attnrl::tools
