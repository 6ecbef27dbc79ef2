// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/testing/fake_admin.h"
#include "tools/attnrl/train/testing/fake_processes.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

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
    admin.before_status = before_status_;
    Progress progress({.what = "train", .total = terminal_ ? 4 : 2}, out_, terminal_, clock_);
    RunWatch::Options options;
    options.run_directory = run_;
    options.names = {"learner"};
    options.steps = 2;
    options.max_response_tokens = 160;
    options.resumed = resumed_;
    RunWatch watch(options, supervisor_, admin, progress, clock_, [this] { return interrupts_; });
    if (skip_old_) watch.SkipOldSteps();
    if (!new_line_.empty()) Append("metrics.jsonl", new_line_);
    const absl::Status status = watch.Watch();
    steps_ = watch.steps().size();
    drained_ = watch.drained();
    resumes_ = admin.resumed;
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
  bool terminal_ = false;
  std::string new_line_;  // appended once old steps are skipped
  std::function<void()> before_status_;
  size_t steps_ = 0;
  bool drained_ = false;
  bool resumed_ = false;       // `attnrl train --resume`
  std::vector<bool> resumes_;  // keep_pause of each Resume
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

// The line of a batch of ten responses, of which none had an answer and so many were right.
std::string Line(int step, int right = 0) {
  return absl::StrFormat(
      R"({"step":%d,"verdicts":{"correct":%d,"incorrect":0,"no_answer":%d,"unparsable":0,)"
      R"("limit":0,"timeout":0,"crash":0},"truncated_ratio":0.7})",
      step, right, 10 - right);
}

TEST_F(RunWatchTest, SaysBelowTheThirdStepWhyNothingWasRight) {
  for (int step = 0; step < 4; ++step) Append("metrics.jsonl", Line(step));
  EXPECT_TRUE(Watch({InState(scheduler::RunState::kFinished)}).ok());
  const std::string words =
      "warning: no response of the first 3 batches was right (30 in all): 100 % had no \\boxed{} "
      "answer, 70 % were cut off at 160 tokens; raise rollout.max_response_tokens; see `attnrl "
      "show " +
      run_.string() + " --batch 0`\n";
  EXPECT_THAT(out_.str(), ContainsRegex("step   3/2 [^\n]*\nwarning: [^\n]*\nstep   4/2 "));
  EXPECT_THAT(out_.str(), HasSubstr("\n" + words));
}

TEST_F(RunWatchTest, CountsTheStepsOfAnEarlierStartAndSaysItOnce) {
  for (int step = 0; step < 2; ++step) Append("metrics.jsonl", Line(step));
  skip_old_ = true;
  new_line_ = Line(2);
  EXPECT_TRUE(Watch({InState(scheduler::RunState::kFinished)}).ok());
  EXPECT_THAT(out_.str(), HasSubstr("warning: no response of the first 3 batches was right"));
  out_.str("");
  new_line_ = Line(3);
  EXPECT_TRUE(Watch({InState(scheduler::RunState::kFinished)}).ok());
  EXPECT_THAT(out_.str(), HasSubstr("step   4/2"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("warning")));
}

TEST_F(RunWatchTest, SaysNothingOfARunWithOneRightResponseOrWithoutCounts) {
  for (int step = 0; step < 3; ++step) Append("metrics.jsonl", Line(step, step == 1 ? 1 : 0));
  EXPECT_TRUE(Watch({InState(scheduler::RunState::kFinished)}).ok());
  fs::remove(run_ / "metrics.jsonl");
  for (const char* line : {R"({"step":0})", R"({"step":1})", R"({"step":2})"}) {
    Append("metrics.jsonl", line);
  }
  EXPECT_TRUE(Watch({InState(scheduler::RunState::kFinished)}).ok());
  EXPECT_EQ(steps_, 3u);
  EXPECT_THAT(out_.str(), Not(HasSubstr("warning")));
}

TEST_F(RunWatchTest, SaysWhatAServiceHasPeopleSeeAndNotWhatItSaidToAnEarlierStart) {
  const auto notice = [](const char* message) {
    return absl::StrFormat(
        R"({"level":"warning","message":"%s","notice":true,"fields":{"step":3}})", message);
  };
  Append("logs/learner.log", notice("before"));
  skip_old_ = true;
  before_status_ = [&] { Append("logs/learner.log", notice("a damaged checkpoint is set aside")); };
  EXPECT_TRUE(Watch({InState(scheduler::RunState::kFinished)}).ok());
  EXPECT_EQ(out_.str(), "warning: learner: a damaged checkpoint is set aside (step 3)\n");
}

TEST_F(RunWatchTest, GoesOnWithoutTheAddressesOfMetricsAndSaysSoOnce) {
  Append("logs/learner.metrics", "127.0.0.1:4711");
  const storage::ScopedFault fault([](std::string_view operation, const std::string& path) {
    return operation == "write" && path.find("endpoints.json") != std::string::npos ? EIO : 0;
  });
  const auto running = InState(scheduler::RunState::kRunning);
  EXPECT_TRUE(Watch({running, running, InState(scheduler::RunState::kFinished)}).ok());
  EXPECT_THAT(out_.str(), ContainsRegex("^warning: the run goes on without the metrics' addresses: "
                                        "[^\n]*endpoints.json[^\n]*\n$"));
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

TEST_F(RunWatchTest, SaysAPauseOnceAndWaitsForItsEnd) {
  const auto paused = InState(scheduler::RunState::kPaused, "paused: lunch");
  EXPECT_TRUE(Watch({paused, paused, InState(scheduler::RunState::kRunning),
                     InState(scheduler::RunState::kFinished)})
                  .ok());
  EXPECT_EQ(out_.str(), "the run is paused: lunch; go on with: attnrl resume --scheduler " +
                            run_.string() + "\nthe run goes on\n");
}

TEST_F(RunWatchTest, SaysNoTimeLeftWhileTheRunIsPaused) {
  terminal_ = true;
  Append("metrics.jsonl", R"({"step":0})");
  skip_old_ = true;
  int asked = 0;
  before_status_ = [&] {
    if (++asked == 2) Append("metrics.jsonl", R"({"step":1})");
  };
  const auto running = InState(scheduler::RunState::kRunning);
  const auto paused = InState(scheduler::RunState::kPaused, "paused: lunch");
  EXPECT_TRUE(
      Watch({running, running, running, paused, paused, InState(scheduler::RunState::kFinished)})
          .ok());
  const std::string text = out_.str();
  const size_t pause = text.find("the run is paused: lunch; ");
  ASSERT_NE(pause, std::string::npos) << text;
  EXPECT_THAT(text.substr(0, pause), HasSubstr(" left"));
  EXPECT_THAT(text.substr(pause), HasSubstr("2/4  paused: lunch"));
  EXPECT_THAT(text.substr(pause), Not(HasSubstr(" left")));
}

TEST_F(RunWatchTest, ResumeEndsADrainThatItFinds) {
  resumed_ = true;
  EXPECT_TRUE(
      Watch({InState(scheduler::RunState::kDraining), InState(scheduler::RunState::kFinished)})
          .ok());
  EXPECT_FALSE(drained_);
  EXPECT_EQ(resumes_, std::vector<bool>{true}) << "a pause stays";
}

TEST_F(RunWatchTest, ResumeDoesNotEndADrainThatComesLater) {
  resumed_ = true;
  EXPECT_TRUE(
      Watch({InState(scheduler::RunState::kRunning), InState(scheduler::RunState::kDraining)})
          .ok());
  EXPECT_TRUE(drained_);
  EXPECT_TRUE(resumes_.empty());
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
