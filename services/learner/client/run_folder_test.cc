// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/run_folder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "common/testing/temporary_folder.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public ::testing::Test {
 protected:
  std::unique_ptr<RunFolder> Enter(const std::string& run) {
    auto entered = RunFolder::Enter(folder_ / "shared", run);
    EXPECT_TRUE(entered.ok()) << entered.status();
    return *std::move(entered);
  }
  static void Write(const std::string& folder) { std::ofstream(folder + "/weights") << "W"; }
  static bool HasWeights(const std::string& folder) { return fs::exists(folder + "/weights"); }
  // What a process of this run leaves that is killed while it is there.
  void LeaveKilled(const std::string& run) {
    const pid_t process = ::fork();
    if (process == 0) {
      const auto entered = RunFolder::Enter(folder_ / "shared", run);
      if (!entered.ok()) ::_exit(1);
      Write((*entered)->path());
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(process, &status, 0), process);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
  }
  size_t Count() const {
    const fs::directory_iterator entries(folder_ / "shared");
    return static_cast<size_t>(std::distance(fs::begin(entries), fs::end(entries)));
  }

  TemporaryFolder folder_;
};

TEST_F(RunFolderTest, GoesWithTheLastProcessOfItsRun) {
  auto first = Enter("a run");
  auto second = Enter("a run");
  EXPECT_EQ(first->path(), second->path());
  Write(first->path());
  first.reset();
  EXPECT_TRUE(HasWeights(second->path()));
  second.reset();
  EXPECT_EQ(Count(), 0u);
}

TEST_F(RunFolderTest, IsOfOneRun) {
  const auto one = Enter("a run");
  const auto other = Enter("another run");
  EXPECT_NE(one->path(), other->path());
  Write(one->path());
  EXPECT_FALSE(HasWeights(other->path()));
}

TEST_F(RunFolderTest, WhatAKilledProcessLeftIsThereForTheNextOfItsRun) {
  LeaveKilled("a run");
  EXPECT_TRUE(HasWeights(Enter("a run")->path()));
  EXPECT_EQ(Count(), 0u) << "and goes with that one";
}

TEST_F(RunFolderTest, WhatAKilledProcessLeftGoesWhenAnotherRunBegins) {
  LeaveKilled("a run");
  const auto other = Enter("another run");
  EXPECT_EQ(Count(), 2u) << "the other run's folder and lock";
  EXPECT_TRUE(fs::is_directory(other->path()));
}

TEST_F(RunFolderTest, ARunThatLivesKeepsItsOwnWhoeverComesAndGoes) {
  const auto living = Enter("a run");
  Write(living->path());
  LeaveKilled("a run");
  (void)Enter("another run");
  EXPECT_TRUE(HasWeights(living->path()));
  EXPECT_EQ(Count(), 2u);
}

TEST_F(RunFolderTest, NothingElseIsTouched) {
  folder_.Write("shared/mine.lock", "");
  folder_.Write("shared/mine/weights", "W");
  folder_.Write("shared/run-away/weights", "W");
  (void)Enter("a run");
  EXPECT_EQ(Count(), 3u);
}

TEST_F(RunFolderTest, ManyThatComeAndGoAlwaysHaveTheirFolder) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        const auto entered = Enter(i % 2 == 0 ? "a run" : "another run");
        EXPECT_TRUE(fs::is_directory(entered->path()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count(), 0u);
}

TEST_F(RunFolderTest, WhereTheFolderCannotBeMadeThatIsAnError) {
  EXPECT_FALSE(RunFolder::Enter(folder_.Write("file", ""), "a run").ok());
}

}  // namespace
}  // namespace attnrl::learner
