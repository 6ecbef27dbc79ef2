// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/testing/shared_data.h"
#include "tools/attnrl/testing/command_test.h"

namespace attnrl::tools {
namespace {

using testing::HasSubstr;

class FciCommand : public CommandTest {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(model_)) GTEST_SKIP() << model_ << " is not there";
  }

  // Runs the command over the records of `input`.
  absl::Status RunFci(const std::string& input, const std::vector<std::string>& flags = {}) const {
    std::vector<std::string> words = {
        "fci",      "--model",      model_, "--input", folder_.Write("in", input),
        "--output", folder_ / "out"};
    words.insert(words.end(), flags.begin(), flags.end());
    return Run(words);
  }
  std::string Refusal(const std::string& input, const std::vector<std::string>& flags = {}) const {
    return Refused(RunFci(input, flags));
  }

  std::vector<nlohmann::json> Records(const std::string& name) const {
    std::vector<nlohmann::json> records;
    std::ifstream in(folder_ / name);
    for (std::string line; std::getline(in, line);) records.push_back(nlohmann::json::parse(line));
    return records;
  }

  const std::string model_ = SharedData("data/oracle/qwen2-tiny");
};

TEST_F(FciCommand, UsesTheStepsOfARecordAsTheyAre) {
  ASSERT_TRUE(RunFci(R"({"id":7,"prompt_ids":[5,6],"response_ids":[7,8,9,10],)"
                     R"("steps":[[0,2],[2,3],[3,4],[4,6]],"more":1})"
                     "\n",
                     {"--delta", "1", "--stats", folder_ / "stats"})
                  .ok());
  const auto records = Records("out");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0]["id"], 7);
  EXPECT_EQ(records[0]["steps"].dump(), "[[0,2],[2,3],[3,4],[4,6]]");
  ASSERT_EQ(records[0]["fci"].size(), 4U);
  EXPECT_EQ(records[0]["fci"][1], 0);
  EXPECT_GT(records[0]["fci"][2], 0);
  EXPECT_EQ(records[0]["fci"][3], 0);
  const auto stats = Records("stats");
  EXPECT_EQ(stats[0]["tokens"], 6);
  EXPECT_GT(stats[0]["seconds"], 0);
  EXPECT_GT(stats[0]["peak_rss_bytes"], 1000000);
}

TEST_F(FciCommand, RefusesABadRecordByItsLine) {
  const std::string start = R"({"id":1,"prompt_ids":[5,6],"response_ids":[7,8])";
  EXPECT_THAT(Refusal(start + "}\n" + R"({"id":2,"prompt_ids":[5],"response_ids":[]})"),
              HasSubstr("in:2: field \"response_ids\" is empty"));
  EXPECT_THAT(Refusal(start + R"(,"steps":[[0,2],[2,3]]})"),
              HasSubstr("in:1: field \"steps\": the last step ends at 3, the sequence at 4"));
  EXPECT_THAT(Refusal(start + R"(,"steps":[[0,1],[1,4]]})"), HasSubstr("the prompt at 2"));
  EXPECT_THAT(Refusal(start + R"(,"steps":[[0,2],[3,4]]})"), HasSubstr("step 1 is [3, 4)"));
  EXPECT_THAT(Refusal(start + R"(,"steps":[[0,2],[2,2],[2,4]]})"), HasSubstr("step 1 is [2, 2)"));
  EXPECT_THAT(Refusal(start + R"(,"steps":[]})"), HasSubstr("there is no step"));
  for (const char* steps : {"7", "\"0 2\"", "{}", "[[0,2],[2]]", "[[0,2],[2,4.5]]", "[0,2]"}) {
    EXPECT_THAT(Refusal(start + ",\"steps\":" + steps + "}"), HasSubstr("in:1: field \"steps\""));
  }
}

TEST_F(FciCommand, LeavesBadRecordsOutWhenAsked) {
  ASSERT_TRUE(RunFci("{\"id\":1,\"prompt_ids\":[5],\"response_ids\":[]}\nno json\n"
                     "{\"id\":2,\"prompt_ids\":[5],\"response_ids\":[6]}\n",
                     {"--skip-bad"})
                  .ok());
  ASSERT_EQ(Records("out").size(), 1U);
  EXPECT_EQ(Records("out")[0]["id"], 2);
}

TEST_F(FciCommand, RefusesFlagsByTheirName) {
  EXPECT_THAT(Refusal("", {"--delta", "-1"}), HasSubstr("--delta: -1; whole numbers from 0"));
  EXPECT_THAT(Refusal("", {"--method", "online"}), HasSubstr("--method: online"));
  EXPECT_THAT(Refusal("", {"--method", "fast"}), HasSubstr("--method: unknown method \"fast\""));
  EXPECT_THAT(Refusal("", {"--threads", "-1"}), HasSubstr("--threads: -1"));
  EXPECT_THAT(Refusal("", {"--dtype", "int8"}), HasSubstr("--dtype"));
}

}  // namespace
}  // namespace attnrl::tools
