// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

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

TEST_F(RunDirectory, OfARunWithoutAConfigurationFileIsCalledRun) {
  EXPECT_THAT(*ChooseRunDirectory("", "", false), EndsWith("/runs/run-1"));
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

TEST_F(RunDirectory, TakesTheFirstFreeNumberAndTheStemOfTheFile) {
  Write("runs/quickstart-1/config.yaml", "");
  Write("runs/quickstart-3/config.yaml", "");
  EXPECT_THAT(*ChooseRunDirectory("", "quickstart.yaml", false), EndsWith("/runs/quickstart-2"));
  EXPECT_THAT(*ChooseRunDirectory("", "a.b/my.run.yaml", false), EndsWith("/runs/my.run-1"));
  EXPECT_THAT(*ChooseRunDirectory("", "noending", false), EndsWith("/runs/noending-1"));
}

TEST_F(RunDirectory, IsAnAbsolutePathWithoutDetours) {
  for (const char* asked : {"run", "./run", "run/", "other/../run", "run/./"}) {
    EXPECT_EQ(*ChooseRunDirectory(asked, "quickstart.yaml", false), fs::canonical(root_) / "run");
  }
}

TEST_F(RunDirectory, ThatAnEndedStartLeftIsTakenAsNew) {
  Write("run/.lock", "");
  Write("run/logs/learner.out", "error: no");
  fs::create_directory_symlink("/nowhere/attnrl-abc", root_ / "run/sockets");
  EXPECT_TRUE(ChooseRunDirectory("run", "quickstart.yaml", false).ok());
  Write("run/notes", "");
  EXPECT_THAT(Refusal("run", false), HasSubstr("other files"));
}

TEST_F(RunDirectory, HoldsARunByAnyOfItsParts) {
  for (const char* part : {"config.yaml", "scheduler.db", "checkpoints/step-0/config.json"}) {
    const TemporaryFolder run;
    EXPECT_FALSE(HoldsRun(run.path()));
    run.Write(part, "");
    EXPECT_TRUE(HoldsRun(run.path())) << part;
  }
  EXPECT_FALSE(HoldsRun("/nowhere"));
}

TEST_F(RunDirectory, RefusalsSayWhereWhatAndHowToGoOn) {
  const std::string run = fs::canonical(root_) / "run";
  EXPECT_EQ(Refusal("run", true),
            run + ": holds no run to resume; leave --resume out to start one here");
  Write("other/notes", "");
  EXPECT_EQ(Refusal("other", true),
            (fs::canonical(root_) / "other").string() +
                ": holds other files, and no run; name the --run-dir of a run");
  EXPECT_EQ(Refusal("", true),
            "--resume: no run of quickstart.yaml in runs/; name one with --run-dir, or start one "
            "without --resume");
  Write("run/scheduler.db", "");
  EXPECT_EQ(Refusal("run", false),
            run +
                ": holds a run already; continue it with --resume, or start a new one in "
                "another --run-dir");
}

// $TMPDIR for the time of a test.
class TemporaryFolderIs {
 public:
  explicit TemporaryFolderIs(const std::string& path) {
    if (const char* before = std::getenv("TMPDIR")) before_ = before;
    setenv("TMPDIR", path.c_str(), 1);
  }
  ~TemporaryFolderIs() {
    before_.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", before_.c_str(), 1);
  }

 private:
  std::string before_;
};

TEST_F(RunDirectory, PutsSocketsWhereTheirNamesAreShortEnough) {
  const TemporaryFolder own;
  const bool short_enough = own.path().size() < 50;
  struct Case {
    std::string folder;
    std::string place;
  };
  for (const Case& each : {Case{own.path(), (short_enough ? own.path() : "/tmp") + "/attnrl-"},
                           Case{"", "/tmp/attnrl-"}, Case{"relative", "/tmp/attnrl-"},
                           Case{own.path() + "/" + std::string(60, 'x'), "/tmp/attnrl-"}}) {
    const TemporaryFolderIs temporary(each.folder);
    const auto folder = MakeSocketFolder(root_);
    ASSERT_TRUE(folder.ok()) << folder.status();
    EXPECT_THAT(*folder, StartsWith(each.place)) << each.folder;
    EXPECT_EQ(SocketFolder(root_), *folder);
    EXPECT_LE(folder->size() + std::string("/branch-scheduler.sock").size(), 107u);
    RemoveSocketFolder(root_);
    EXPECT_EQ(SocketFolder(root_), "");
  }
}

TEST_F(RunDirectory, SaysWhereNoSocketFolderCanBeMade) {
  const TemporaryFolderIs temporary("/nowhere");
  EXPECT_EQ(
      MakeSocketFolder(root_).status().message(),
      "/nowhere: no folder for sockets can be made: No such file or directory; TMPDIR or /tmp "
      "must be a folder that can be written");
}

TEST_F(RunDirectory, RemovesNothingThatIsNoSocketFolderWhateverItsName) {
  Write("precious/thesis.tex", "");
  Write("attnrl-precious/thesis.tex", "");
  Write("attnrl-precious/run", "of something else");
  for (const char* name : {"precious", "attnrl-precious"}) {
    fs::create_directory_symlink(root_ / name, root_ / "sockets");
    RemoveSocketFolder(root_);
    EXPECT_TRUE(fs::exists(root_ / name / "thesis.tex"));
    EXPECT_FALSE(fs::is_symlink(root_ / "sockets"));
  }
  EXPECT_TRUE(fs::exists(root_ / "attnrl-precious/run"));
  RemoveSocketFolder(root_);  // nor fails where there is nothing
  Write("sockets/file", "");  // a folder of that name, not a link
  RemoveSocketFolder(root_);
  EXPECT_TRUE(fs::exists(root_ / "sockets/file"));
}

TEST_F(RunDirectory, RemovesOnlyItsOwnNamesFromItsSocketFolder) {
  fs::create_directories(root_ / "run");
  const auto folder = MakeSocketFolder(root_ / "run");
  ASSERT_TRUE(folder.ok()) << folder.status();
  std::ofstream(*folder + "/thesis.tex") << "precious";
  std::ofstream(*folder + "/learner.sock") << "a file that only has the name";
  RemoveSocketFolder(root_ / "run");
  EXPECT_TRUE(fs::exists(*folder + "/thesis.tex"));
  EXPECT_TRUE(fs::exists(*folder + "/learner.sock"));
  EXPECT_FALSE(fs::exists(*folder + "/run"));
  fs::remove_all(*folder);
}

TEST_F(RunDirectory, MayBeTheRootOfAVolume) {
  fs::create_directories(root_ / "volume/lost+found");
  EXPECT_TRUE(ChooseRunDirectory("volume", "quickstart.yaml", false).ok());
  Write("volume/config.yaml", "");
  Write("volume/logs/learner.log", "");
  EXPECT_TRUE(RemoveRunDirectory(root_ / "volume", "").ok());
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(root_ / "volume")) {
    left.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(left, ElementsAre("lost+found"));
  Write("run/config.yaml", "");
  EXPECT_TRUE(RemoveRunDirectory(root_ / "run", "").ok());
  EXPECT_FALSE(fs::exists(root_ / "run"));
}

TEST_F(RunDirectory, IsRemovedWithTheFoldersThatWereMadeForIt) {
  fs::create_directories(root_ / "mine");
  EXPECT_EQ(OutermostMissing(root_ / "mine"), "");
  const std::string run = root_ / "mine/runs/a/b-1";
  const std::string made = OutermostMissing(run);
  EXPECT_EQ(made, root_ / "mine/runs");
  { ASSERT_TRUE(TakeRunDirectory(run).ok()); }
  EXPECT_TRUE(RemoveRunDirectory(run, made).ok());
  EXPECT_FALSE(fs::exists(root_ / "mine/runs"));
  EXPECT_TRUE(fs::exists(root_ / "mine"));
  // What another start has put there meanwhile stays.
  { ASSERT_TRUE(TakeRunDirectory(run).ok()); }
  Write("mine/runs/b-2/config.yaml", "");
  EXPECT_TRUE(RemoveRunDirectory(run, made).ok());
  EXPECT_FALSE(fs::exists(root_ / "mine/runs/a"));
  EXPECT_TRUE(fs::exists(root_ / "mine/runs/b-2/config.yaml"));
}

TEST_F(RunDirectory, ThatCannotBeMadeIsAMistakeOfTheUserAndAFullDiskIsNone) {
  int error = EACCES;
  const storage::ScopedFault fault([&](std::string_view operation, const std::string&) {
    return operation == "mkdir" ? error : 0;
  });
  const absl::Status status = TakeRunDirectory(root_ / "new").status();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith("--run-dir: "));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("Permission denied; a directory that can be"));
  error = ENOSPC;
  EXPECT_TRUE(absl::IsResourceExhausted(TakeRunDirectory(root_ / "new").status()));
}

TEST_F(RunDirectory, ForgetsTheEndpointsOfServicesThatAreGone) {
  Write("logs/learner.metrics", "127.0.0.1:4711\n");
  ASSERT_TRUE(WriteEndpoints(root_, {"learner"}).ok());
  ASSERT_TRUE(ForgetEndpoints(root_).ok());
  EXPECT_EQ(nlohmann::json::parse(std::ifstream(root_ / "endpoints.json")),
            nlohmann::json::array());
  EXPECT_FALSE(fs::exists(root_ / "logs/learner.metrics"));
}

TEST_F(RunDirectory, ACopyLeavesTheSocketsOfTheOriginalAlone) {
  fs::create_directories(root_ / "run");
  const auto folder = MakeSocketFolder(root_ / "run");
  ASSERT_TRUE(folder.ok()) << folder.status();
  fs::copy(root_ / "run", root_ / "copy",
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  EXPECT_EQ(SocketFolder(root_ / "copy"), "") << "no run is going on there";
  const auto own = MakeSocketFolder(root_ / "copy");
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_NE(*own, *folder);
  EXPECT_EQ(SocketFolder(root_ / "run"), *folder);
  RemoveSocketFolder(root_ / "copy");
  EXPECT_TRUE(fs::exists(*folder));
  fs::rename(root_ / "run", root_ / "renamed");
  EXPECT_EQ(SocketFolder(root_ / "renamed"), *folder) << "the same directory";
  RemoveSocketFolder(root_ / "renamed");
  EXPECT_FALSE(fs::exists(*folder));
}

TEST_F(RunDirectory, WritesEndpointsInTheFormOfPrometheusAndOnlyWhereTheyChange) {
  Write("logs/learner.metrics", "old:1\n127.0.0.1:4711\n");
  Write("logs/worker-1.metrics", "[::1]:4712");
  Write("logs/verifier.metrics", "\n");
  const std::vector<std::string> names = {"verifier", "learner", "worker-0", "worker-1"};
  ASSERT_TRUE(WriteEndpoints(root_, names).ok());
  const auto endpoints = nlohmann::json::parse(folder_.Read("endpoints.json"));
  const std::string run = root_.filename();
  EXPECT_EQ(
      endpoints,
      nlohmann::json::array(
          {{{"targets", {"127.0.0.1:4711"}}, {"labels", {{"service", "learner"}, {"run", run}}}},
           {{"targets", {"[::1]:4712"}}, {"labels", {{"service", "worker-1"}, {"run", run}}}}}));
  fs::permissions(root_ / "endpoints.json", fs::perms::owner_read);  // a new file has others
  ASSERT_TRUE(WriteEndpoints(root_, names).ok());
  EXPECT_EQ(fs::status(root_ / "endpoints.json").permissions(), fs::perms::owner_read);
  Write("logs/verifier.metrics", "127.0.0.1:4713\n");
  ASSERT_TRUE(WriteEndpoints(root_, names).ok());
  EXPECT_EQ(nlohmann::json::parse(folder_.Read("endpoints.json")).size(), 3u);
}

TEST_F(RunDirectory, QuotesOneLineOfAnyOutput) {
  struct Case {
    std::string out, log, words;
  };
  for (const Case& each :
       std::vector<Case>{{" \n\t\r\n", "{\"message\":\"from the log\"}\n", "from the log"},
                         {"no newline at the end", "", "no newline at the end"},
                         {"first\r\nlast\r\n", "", "last"},
                         {"a\x1b[31mred\x07", "", "a\\x1b[31mred\\x07"},
                         {std::string(400, 'x'), "", std::string(300, 'x') + "..."},
                         {"", "plain text\n", "plain text"},
                         {"", "{\"message\":7}\n", "{\"message\":7}"},
                         {"", "{\"message\":\"two\\nlines\"}\n", "two\\nlines"}}) {
    Write("logs/learner.out", each.out);
    Write("logs/learner.log", each.log);
    EXPECT_EQ(LastWords(root_, "learner"), each.words);
  }
}

TEST_F(RunDirectory, ReadsLinesHoweverTheyArrive) {
  const std::string whole = "one\n\nthree\r\n" + std::string(5000, 'x') + "\nlast\n";
  for (const size_t piece : {1u, 2u, 7u, 4096u}) {
    const std::string path = root_ / ("growing-" + std::to_string(piece));
    LineReader reader(path);
    std::vector<std::string> lines;
    for (size_t at = 0; at < whole.size(); at += piece) {
      std::ofstream(path, std::ios::app | std::ios::binary) << whole.substr(at, piece);
      for (std::string& line : reader.NewLines()) lines.push_back(std::move(line));
    }
    EXPECT_THAT(lines, ElementsAre("one", "", "three\r", std::string(5000, 'x'), "last")) << piece;
  }
}

TEST_F(RunDirectory, ReadsWholeLinesOnceEach) {
  LineReader reader(root_ / "metrics.jsonl");
  EXPECT_THAT(reader.NewLines(), ElementsAre());
  Write("metrics.jsonl", "one\ntwo\nthr");
  EXPECT_THAT(reader.NewLines(), ElementsAre("one", "two"));
  std::ofstream(root_ / "metrics.jsonl", std::ios::app) << "ee\n";
  EXPECT_THAT(reader.NewLines(), ElementsAre("three"));
  // As the scheduler does after a kill: what it has not committed is cut off and written again.
  fs::resize_file(root_ / "metrics.jsonl", 8);
  EXPECT_THAT(reader.NewLines(), ElementsAre());
  std::ofstream(root_ / "metrics.jsonl", std::ios::app) << "three\nfour\n";
  EXPECT_THAT(reader.NewLines(), ElementsAre("four")) << "no line twice";
}

}  // namespace
}  // namespace attnrl::tools
