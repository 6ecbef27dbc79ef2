// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/files.h"
#include "common/testing/free_port.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/client/weight_client.h"
#include "services/learner/testing/training_batches.h"

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

// Starts rank 0 of two twice in a run whose only checkpoint is damaged. The exit code of a service
// that finds its input wrong, if both do.
[[noreturn]] void StartTwiceWithoutAnIntactCheckpoint() {
  const TemporaryFolder run;
  std::filesystem::create_directory(run / "logs");
  run.Write("checkpoints/step-4/model.safetensors", "damaged");
  for (const auto& [name, value] :
       {std::pair("WORLD_SIZE", "2"), {"RANK", "0"}, {"MASTER_ADDR", "localhost"}}) {
    ::setenv(name, value, 1);
  }
  ::setenv("MASTER_PORT", absl::StrCat(FreePort()).c_str(), 1);
  config::Config config;
  config.model.path = run / "model";
  config.learner.ranks = 2;
  config.learner.rank_timeout_seconds = 1;
  config.learner.address = "unix:" + run.path() + "/learner.sock";
  config.scheduler.address = "unix:" + run.path() + "/nobody.sock";
  const rpc::ShutdownSignal& shutdown = rpc::ShutdownSignal::Install();
  int refused = 0;
  for (int start = 0; start < 2; ++start) {
    const absl::Status status = Serve(config, {.run_dir = run.path(), .name = "learner"}, shutdown);
    std::cerr << "start " << start << ": " << status << std::endl;
    refused += IsInputError(status) ? 1 : 0;
  }
  std::error_code ignored;
  std::filesystem::remove_all(run.path(), ignored);
  ::_exit(refused == 2 ? 2 : 1);
}

// Checkpoints are read before the other rank is waited for, which doesn't come here.
TEST(ServeLearnerDeathTest, EachStartWithoutAnIntactCheckpointSaysSoBeforeOtherRanksAreMet) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(StartTwiceWithoutAnIntactCheckpoint(), ::testing::ExitedWithCode(2),
              "start 1: .*no checkpoint is intact; put a good copy of one there as step-N");
}

// What fetching W(0) from a learner that sends so many bytes a second gives the second time, within
// `deadline`, as the exit code of the process.
[[noreturn]] void FetchTwice(int64_t bytes_per_second, absl::Duration deadline) {
  const TemporaryFolder run;
  const TemporaryFolder model;
  WriteTinyModel(model.path());
  const auto trainer = TinyTrainer(model.path(), TinyOptions());
  EXPECT_TRUE(
      model::WriteModelFolder(run / "model", model.path(), trainer->parameters().Published()).ok());
  std::filesystem::create_directory(run / "logs");
  config::Config config;
  config.model.path = run / "model";
  config.learner.address = "unix:" + run.path() + "/learner.sock";
  config.learner.send_bytes_per_second = bytes_per_second;
  config.scheduler.address = "unix:" + run.path() + "/nobody.sock";
  std::thread learner([&] {
    const absl::Status status =
        Serve(config, {.run_dir = run.path(), .name = "learner"}, rpc::ShutdownSignal::Install());
    std::cerr << "the learner ended: " << status << std::endl;
    ::_exit(100);
  });
  const auto client = ConnectWeightStore(config.learner.address).value();
  const auto first = client->Fetch({0, ""}, nullptr, absl::Seconds(60));
  if (!first.ok()) std::cerr << first.status() << std::endl;
  const auto second = client->Fetch({0, ""}, nullptr, deadline);
  std::error_code ignored;
  std::filesystem::remove_all(run.path(), ignored);
  std::filesystem::remove_all(model.path(), ignored);
  ::_exit(first.ok() ? static_cast<int>(second.status().code()) : 101);
}

// In processes of their own: the shutdown is the process's.
TEST(ServeLearnerDeathTest, SendsAsManyBytesASecondAsItsConfigurationSays) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(FetchTwice(0, absl::Seconds(60)), ::testing::ExitedWithCode(0), "");
  // The first fetch has taken what the years to come bring.
  EXPECT_EXIT(FetchTwice(1, absl::Seconds(1)),
              ::testing::ExitedWithCode(static_cast<int>(absl::StatusCode::kDeadlineExceeded)), "");
}

}  // namespace
}  // namespace attnrl::learner
