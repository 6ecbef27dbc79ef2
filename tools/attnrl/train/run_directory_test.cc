// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class RunDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    fs::current_path(root_);
  }
  void TearDown() override { fs::current_path(before_); }
  void Write(const std::string& path, const std::string& text) { folder_.Write(path, text); }
  std::string Refusal(const std::string& asked, bool resume) {
    const auto chosen = ChooseRunDirectory(asked, "quickstart.yaml", resume);
    EXPECT_TRUE(IsInputError(chosen.status()));
    return std::string(chosen.status().message());
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.path();
  fs::path before_;
};

TEST_F(RunDirectory, IsNumberedByDefaultAndNotCreated) {
  EXPECT_THAT(*ChooseRunDirectory("", "a/quickstart.yaml", false), EndsWith("/runs/quickstart-1"));
  EXPECT_FALSE(fs::exists(root_ / "runs"));
  Write("runs/quickstart-1/config.yaml", "");
  EXPECT_THAT(*ChooseRunDirectory("", "a/quickstart.yaml", false), EndsWith("/runs/quickstart-2"));
}

TEST_F(RunDirectory, ResumesTheNewestByDefault) {
  Write("runs/quickstart-1/config.yaml", "");
  Write("runs/quickstart-2/config.yaml", "");
  fs::create_directories(root_ / "runs/quickstart-3");
  EXPECT_THAT(*ChooseRunDirectory("", "quickstart.yaml", true), EndsWith("/runs/quickstart-2"));
}

TEST_F(RunDirectory, ThatHoldsARunIsRefusedNamingBothWaysOn) {
  Write("run/config.yaml", "");
  const std::string message = Refusal("run", false);
  EXPECT_THAT(message, HasSubstr("--resume"));
  EXPECT_THAT(message, HasSubstr("--run-dir"));
  EXPECT_TRUE(ChooseRunDirectory("run/", "quickstart.yaml", true).ok());
}

TEST_F(RunDirectory, WithoutARunCannotBeResumed) {
  EXPECT_THAT(Refusal("run", true), HasSubstr("no run"));
  EXPECT_THAT(Refusal("", true), HasSubstr("no run"));
}

TEST_F(RunDirectory, WithOtherFilesIsRefused) {
  Write("run/thesis.tex", "");
  EXPECT_THAT(Refusal("run", false), HasSubstr("other files"));
  Write("file", "");
  EXPECT_THAT(Refusal("file", false), HasSubstr("not a directory"));
}

TEST_F(RunDirectory, GetsAPrivateSocketFolderThatReplacesTheOneOfAKilledStart) {
  const auto first = MakeSocketFolder(root_);
  ASSERT_TRUE(first.ok());
  struct stat info {};
  ASSERT_EQ(stat(first->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
  const auto second = MakeSocketFolder(root_);
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(fs::exists(*first));
  EXPECT_EQ(fs::read_symlink(root_ / "sockets"), *second);
  RemoveSocketFolder(root_);
  EXPECT_FALSE(fs::exists(*second));
}

TEST_F(RunDirectory, ListsTheEndpointsThatAreKnown) {
  Write("logs/learner.metrics", "127.0.0.1:4711\n");
  ASSERT_TRUE(WriteEndpoints(root_, {"learner", "worker-0"}).ok());
  std::string text;
  std::getline(std::ifstream(root_ / "endpoints.json"), text, '\0');
  EXPECT_THAT(text, HasSubstr("127.0.0.1:4711"));
  EXPECT_THAT(text, HasSubstr("\"service\": \"learner\""));
  EXPECT_THAT(text, Not(HasSubstr("worker-0")));
}

TEST_F(RunDirectory, QuotesWhatAChildSaidLast) {
  EXPECT_EQ(LastWords(root_, "learner"), "nothing");
  Write("logs/learner.log", "{\"message\":\"first\"}\n{\"message\":\"no room\"}\n");
  EXPECT_EQ(LastWords(root_, "learner"), "no room");
  Write("logs/learner.out", "terminate called\nwhat():  bad\n\n");
  EXPECT_EQ(LastWords(root_, "learner"), "what():  bad");
}

TEST_F(RunDirectory, ReadsWholeLinesOnceEach) {
  LineReader reader(root_ / "metrics.jsonl");
  EXPECT_THAT(reader.NewLines(), ElementsAre());
  Write("metrics.jsonl", "one\ntwo\nthr");
  EXPECT_THAT(reader.NewLines(), ElementsAre("one", "two"));
  std::ofstream(root_ / "metrics.jsonl", std::ios::app) << "ee\n";
  EXPECT_THAT(reader.NewLines(), ElementsAre("three"));
}

}  // namespace
}  // namespace attnrl::tools
