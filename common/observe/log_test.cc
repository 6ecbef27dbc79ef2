// SPDX-License-Identifier: Apache-2.0
#include "common/observe/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"

namespace attnrl::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
 protected:
  LogTest() { std::filesystem::remove(file_); }
  ~LogTest() override {
    StopLog();
    std::filesystem::remove(file_);
  }

  std::vector<nlohmann::json> Records() const {
    std::vector<nlohmann::json> records;
    std::ifstream file(file_);
    for (std::string line; std::getline(file, line);) {
      records.push_back(nlohmann::json::parse(line));
    }
    return records;
  }

  const std::string file_ =
      ::testing::TempDir() + "attnrl-log-test-" + std::to_string(::getpid()) + ".log";
};

TEST_F(LogTest, WritesOneObjectALine) {
  ASSERT_TRUE(StartLog({.service = "learner", .file = file_}).ok());
  LogInfo("checkpoint written", {{"step", 40},
                                 {"seconds", 0.5},
                                 {"kept", true},
                                 {"path", "/a/b"},
                                 {"id", uint64_t{1} << 63}});
  const std::vector<nlohmann::json> records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0]["level"], "info");
  EXPECT_EQ(records[0]["service"], "learner");
  EXPECT_EQ(records[0]["message"], "checkpoint written");
  EXPECT_EQ(records[0]["fields"], nlohmann::json({{"step", 40},
                                                  {"seconds", 0.5},
                                                  {"kept", true},
                                                  {"path", "/a/b"},
                                                  {"id", uint64_t{1} << 63}}));
  EXPECT_THAT(records[0]["time"].get<std::string>(),
              MatchesRegex("20[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z"));
}

TEST_F(LogTest, IsThereWithoutAFlushOrAStop) {
  ASSERT_TRUE(StartLog({.service = "learner", .file = file_}).ok());
  LogInfo("last words");
  EXPECT_EQ(Records().size(), 1u);
}

TEST_F(LogTest, AppendsToWhatAnEarlierProcessWrote) {
  std::ofstream(file_) << "{\"message\":\"before\"}\n";
  ASSERT_TRUE(StartLog({.service = "learner", .file = file_}).ok());
  LogInfo("after");
  EXPECT_EQ(Records().size(), 2u);
}

TEST_F(LogTest, SaysErrorsOnTheConsoleToo) {
  ASSERT_TRUE(StartLog({.service = "s", .file = file_}).ok());
  ::testing::internal::CaptureStderr();
  LogInfo("quiet");
  LogWarning("quiet");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), IsEmpty());
  ::testing::internal::CaptureStderr();
  LogError("loud", {{"status", absl::NotFoundError("no file")}, {"n", 3}});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "error: loud status=NOT_FOUND: no file n=3\n");
}

TEST_F(LogTest, GoesToTheConsoleBeforeItIsStarted) {
  ::testing::internal::CaptureStderr();
  LogInfo("quiet");
  LogWarning("loud");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "warning: loud\n");
}

TEST_F(LogTest, KeepsLinesOfSeveralThreadsApart) {
  ASSERT_TRUE(StartLog({.service = "s", .file = file_}).ok());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread] {
      for (int i = 0; i < 50; ++i) LogInfo("line", {{"thread", thread}, {"i", i}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Records().size(), 200u);
}

TEST_F(LogTest, PutsAFileAsideThatHasGrown) {
  const std::string aside = file_.substr(0, file_.size() - 4) + ".1.log";
  ASSERT_TRUE(StartLog({.service = "s", .file = file_, .max_bytes = 4000}).ok());
  for (int i = 0; i < 1000; ++i) LogInfo("line", {{"i", i}});
  EXPECT_LE(std::filesystem::file_size(file_), 4000u);
  EXPECT_LE(std::filesystem::file_size(aside), 4000u);
  EXPECT_EQ(Records().back()["fields"]["i"], 999);
  // A process that starts again goes on in the same file.
  const size_t before = Records().size();
  ASSERT_TRUE(StartLog({.service = "s", .file = file_, .max_bytes = 8000}).ok());
  LogInfo("again");
  EXPECT_EQ(Records().size(), before + 1);
  std::filesystem::remove(aside);
}

TEST_F(LogTest, RefusesAFileThatCannotBeMade) {
  const absl::Status status = StartLog({.service = "s", .file = "/proc/nowhere/log"});
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/proc/nowhere/log"));
}

}  // namespace
}  // namespace attnrl::observe
