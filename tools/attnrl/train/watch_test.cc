// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/testing/fake_admin.h"
#include "tools/attnrl/train/testing/fake_processes.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::HasSubstr;

scheduler::RunStatus InState(scheduler::RunState state, const std::string& reason = "") {
  scheduler::RunStatus status;
  status.state = state;
  status.reason = reason;
  return status;
}

class RunWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(run_ / "logs");
    fs::create_directories(run_ / "checkpoints" / "step-2");  // of a run that is over
    EXPECT_TRUE(supervisor_.Start({.name = "learner"}).ok());
  }
  void Append(const std::string& file, const std::string& text) {
    std::ofstream(run_ / file, std::ios::app) << text << "\n";
  }
  absl::Status Watch(std::vector<scheduler::RunStatus> statuses) {
    scheduler::FakeAdmin admin(std::move(statuses));
    Progress progress({.what = "train", .total = 2}, out_, /*terminal=*/false, clock_);
    RunWatch::Options options;
    options.run_directory = run_;
    options.names = {"learner"};
    options.steps = 2;
    RunWatch watch(options, supervisor_, admin, progress, clock_, [this] { return interrupts_; });
    if (skip_old_) watch.SkipOldSteps();
    const absl::Status status = watch.Watch();
    steps_ = watch.steps().size();
    drained_ = watch.drained();
    return status;
  }

  const TemporaryFolder folder_;
  const fs::path run_ = folder_.path();
  FakeClock clock_;
  FakeProcesses processes_;
  Supervisor supervisor_{processes_, clock_};
  std::ostringstream out_;
  int interrupts_ = 0;
  bool skip_old_ = false;
  size_t steps_ = 0;
  bool drained_ = false;
};

TEST_F(RunWatchTest, EndsWhenTheSchedulerSaysThatTheRunHasFinished) {
  Append("metrics.jsonl", R"({"step":0,"initial_accuracy":0.25})");
  EXPECT_TRUE(
      Watch({InState(scheduler::RunState::kRunning), InState(scheduler::RunState::kFinished)})
          .ok());
  EXPECT_FALSE(drained_);
  EXPECT_THAT(out_.str(), HasSubstr("step   1/2  accuracy 0.250"));
  EXPECT_THAT(out_.str(), HasSubstr("memory in use: learner"));
}

TEST_F(RunWatchTest, DoesNotPrintTheStepsOfAnEarlierStartAgain) {
  Append("metrics.jsonl", R"({"step":0,"initial_accuracy":0.25})");
  skip_old_ = true;
  EXPECT_TRUE(Watch({InState(scheduler::RunState::kFinished)}).ok());
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(steps_, 1u);
}

TEST_F(RunWatchTest, StopsAtCtrlC) {
  interrupts_ = 1;
  EXPECT_TRUE(absl::IsCancelled(Watch({InState(scheduler::RunState::kRunning)})));
}

TEST_F(RunWatchTest, NamesADeadChildWithItsExitLastWordsAndLog) {
  Append("logs/learner.out", "terminate called: boom");
  processes_.End("learner", {.signal = SIGKILL});
  EXPECT_TRUE(Watch({InState(scheduler::RunState::kRunning), InState(scheduler::RunState::kRunning),
                     InState(scheduler::RunState::kFinished)})
                  .ok());
  EXPECT_THAT(out_.str(), HasSubstr("learner ended (killed by signal 9 (Killed)), last words: "
                                    "terminate called: boom; log "));
  EXPECT_THAT(out_.str(), HasSubstr("/logs/learner.log; starts again in 200ms"));
  EXPECT_THAT(out_.str(), HasSubstr("learner started again"));
}

TEST_F(RunWatchTest, PassesOnWhatAChildFoundWrongWithTheInput) {
  Append("logs/learner.out", "error: model.path: no such folder; a Hugging Face folder");
  processes_.End("learner", {.code = kExitBadInput});
  const absl::Status status = Watch({InState(scheduler::RunState::kStarting)});
  EXPECT_TRUE(IsInputError(status));
  EXPECT_EQ(status.message(), "model.path: no such folder; a Hugging Face folder (learner)");
}

TEST_F(RunWatchTest, SaysThatTheDiskIsFull) {
  Append("logs/learner.out", "error: checkpoints/step-10: No space left on device");
  processes_.End("learner", {.code = kExitDiskFull});
  const absl::Status status = Watch({InState(scheduler::RunState::kRunning)});
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the disk is full; last words: error: checkpoints"));
}

TEST_F(RunWatchTest, EndsARunThatTheSchedulerPaused) {
  const absl::Status status =
      Watch({InState(scheduler::RunState::kPaused, "10 batches in a row without a sample")});
  EXPECT_EQ(status.message(), "the run is paused: 10 batches in a row without a sample");
}

TEST_F(RunWatchTest, EndsADrainedRunOnceNoWorkIsOut) {
  scheduler::RunStatus draining = InState(scheduler::RunState::kDraining);
  draining.active_leases = 1;
  draining.workers.push_back({.worker = "worker-0"});
  scheduler::RunStatus returned = draining;
  returned.active_leases = 0;
  Append("metrics.jsonl", R"({"step":0})");
  EXPECT_TRUE(Watch({draining, returned, InState(scheduler::RunState::kDraining),
                     InState(scheduler::RunState::kPaused, "asked once more")})
                  .ok());
  EXPECT_TRUE(drained_);
  EXPECT_EQ(steps_, 1u);
}

}  // namespace
}  // namespace attnrl::tools
