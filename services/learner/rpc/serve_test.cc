// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::learner {
namespace {

std::set<std::string> FilesOf(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    files.insert(entry.path().string());
  }
  return files;
}

TEST(ServeLearner, ASecondOneInTheSameRunDirectoryIsRefusedBeforeItTouchesAnything) {
  const TemporaryFolder run;
  // What opening the checkpoints would remove: the work of the learner that lives.
  run.Write("checkpoints/.tmp-step-3/model.safetensors", "half written");
  const auto first = storage::FileLock::AcquireFile(run / "learner.lock", "the learner of a run");
  ASSERT_TRUE(first.ok()) << first.status();
  const std::set<std::string> before = FilesOf(run.path());
  config::Config config;
  config.model.path = run / "model";
  config.learner.address = "unix:" + run.path() + "/learner.sock";
  config.scheduler.address = "unix:" + run.path() + "/scheduler.sock";
  const absl::Status second =
      Serve(config, {.run_dir = run.path(), .name = "learner"}, rpc::ShutdownSignal::Install());
  EXPECT_TRUE(IsInputError(second)) << second;
  EXPECT_THAT(std::string(second.message()),
              ::testing::HasSubstr(absl::StrCat("the learner of ", run.path(), ": in use by")));
  EXPECT_EQ(FilesOf(run.path()), before);
}

}  // namespace
}  // namespace attnrl::learner
