// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/commands/model/fci_command.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/shared_data.h"
#include "common/base/status.h"
#include "tools/attnrl/command_line.h"

namespace attnrl::tools {
namespace {

using testing::HasSubstr;

class FciCommand : public testing::Test {
 protected:
  FciCommand() : folder_(testing::TempDir() + "attnrl_fci-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~FciCommand() override { std::filesystem::remove_all(folder_); }
  void SetUp() override {
    if (!std::filesystem::exists(model_)) GTEST_SKIP() << model_ << " is not there";
  }

  // Runs the command over the records of `input`, as main.cc does.
  absl::Status RunFci(const std::string& input, const std::vector<std::string>& flags = {}) {
    std::ofstream(folder_ + "/in", std::ios::binary) << input;
    std::vector<std::string> words = {"fci",           "--model",  model_,          "--input",
                                      folder_ + "/in", "--output", folder_ + "/out"};
    words.insert(words.end(), flags.begin(), flags.end());
    CLI::App app("test", "attnrl");
    Work run;
    AddFciCommand(app, &run);
    std::vector<const char*> arguments = {"attnrl"};
    for (const std::string& word : words) arguments.push_back(word.c_str());
    bool answered = false;
    const absl::Status parsed =
        ParseCommandLine(app, static_cast<int>(arguments.size()), arguments.data(), &answered);
    return parsed.ok() && run ? run() : parsed;
  }

  std::string Refusal(const std::string& input, const std::vector<std::string>& flags = {}) {
    const absl::Status status = RunFci(input, flags);
    EXPECT_TRUE(IsInputError(status)) << status;
    std::string message(status.message());
    if (message.starts_with(folder_ + "/")) message.erase(0, folder_.size() + 1);
    return message;
  }

  std::vector<nlohmann::json> Records(const std::string& name) const {
    std::vector<nlohmann::json> records;
    std::ifstream in(folder_ + "/" + name);
    for (std::string line; std::getline(in, line);) records.push_back(nlohmann::json::parse(line));
    return records;
  }

  const std::string model_ = SharedData("data/oracle/qwen2-tiny");
  const std::string folder_;
};

TEST_F(FciCommand, UsesTheStepsOfARecordAsTheyAre) {
  ASSERT_TRUE(RunFci(R"({"id":7,"prompt_ids":[5,6],"response_ids":[7,8,9,10],)"
                     R"("steps":[[0,2],[2,3],[3,4],[4,6]],"more":1})"
                     "\n",
                     {"--delta", "1", "--stats", folder_ + "/stats"})
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
