// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/hint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace {

TEST(Hint, IsReadable) {
  EXPECT_EQ(Hint({"resume", "--scheduler", "runs/a"}), "attnrl resume --scheduler runs/a");
  EXPECT_EQ(ResumeHint("runs/a b", {"--set", "run.steps=8"}),
            "attnrl train --config 'runs/a b/config.yaml' --run-dir 'runs/a b' --resume --set "
            "run.steps=8");
}

TEST(Hint, ComesThroughAShellAsItWas) {
  const TemporaryFolder folder;
  for (const std::string word : {"", "a b", "it's", "$HOME", "`date`", "a\\b", "*", "~", "#", "!",
                                 "learner.lora={rank: 1}", "a;b", "\"", "\xc3\xa9"}) {
    const std::string hint = Hint({word});
    ASSERT_EQ(
        std::system(("printf %s " + hint.substr(sizeof("attnrl")) + " >" + folder.path() + "/word")
                        .c_str()),
        0);
    EXPECT_EQ(folder.Read("word"), word);
  }
}

TEST(RunsBeside, AreThoseWithTheNearestNames) {
  const TemporaryFolder folder;
  for (const char* run : {"mine-1", "mine-2", "mine-3", "other"}) {
    folder.Write(std::string(run) + "/config.yaml", "");
  }
  folder.Write("mine/notes", "");
  const std::string all = folder / "mine-1, " + (folder / "mine-2, ") + (folder / "mine-3");
  EXPECT_EQ(RunsBeside(folder / "mine"), "there is " + all);
  EXPECT_EQ(RunsBeside(folder / "mine/"), "there is " + all);
  EXPECT_EQ(RunsBeside(folder / "mine/other"), "");
  EXPECT_EQ(RunsBeside(folder / "nowhere/mine"), "");
}

}  // namespace
}  // namespace attnrl::tools
