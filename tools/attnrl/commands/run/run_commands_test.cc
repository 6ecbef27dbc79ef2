// SPDX-License-Identifier: Apache-2.0
// What `train`, `check` and the commands on a run refuse before anything is started or written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/config.h"
#include "tools/attnrl/commands/run/scheduler_flags.h"
#include "tools/attnrl/testing/captured_output.h"
#include "tools/attnrl/testing/command_test.h"
#include "tools/attnrl/train/run_directory.h"

namespace attnrl::tools {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class RunCommands : public CommandTest {
 protected:
  std::string Refusal(const std::vector<std::string>& words) const {
    const CapturedOutput output;
    const std::string refusal = Refused(Run(words));
    EXPECT_EQ(output.out() + output.err(), "");
    return refusal;
  }

  const std::string config_ = folder_.Write("run.yaml", "run:\n  steps: 3\n");
};

TEST_F(RunCommands, NeedAConfigurationThatCanBeRead) {
  for (const std::string command : {"train", "check"}) {
    const auto refusal = [&](const std::string& file) {
      return Refusal({command, "--config", file});
    };
    EXPECT_THAT(refusal(folder_ / "nowhere.yaml"), StartsWith("nowhere.yaml: "));
    EXPECT_THAT(refusal(folder_.path()), HasSubstr("director"));
    EXPECT_THAT(refusal(folder_.Write("bad.yaml", "run:\n  steps: [\n")), StartsWith("bad.yaml:"));
    EXPECT_THAT(refusal(folder_.Write("bad.yaml", "run:\n  steps: many\n")),
                StartsWith("bad.yaml:2: run.steps"));
    EXPECT_THAT(refusal(folder_.Write("bad.yaml", "run:\n  stepps: 3\n")),
                HasSubstr("did you mean"));
    EXPECT_THAT(refusal(config_), StartsWith("run.yaml: model.path: is not set; "));
    EXPECT_THAT(refusal(folder_.Write("empty.yaml", "")), StartsWith("empty.yaml: model.path: "));
  }
  EXPECT_EQ(Refusal({"train"}),
            "--config: is missing; a configuration file, or settings over the defaults with --set");
  EXPECT_EQ(Refusal({"show", "--batch", "0"}), "RUN_DIR: is required; see attnrl show --help");
  for (const std::string command : {"train", "check"}) {
    EXPECT_THAT(Refusal({command, "--set", "run.steps=3"}), StartsWith("model.path: is not set; "));
    EXPECT_THAT(Refusal({command, "--set", "model.path=" + folder_.path()}),
                StartsWith("data.train: is not set; "));
    EXPECT_THAT(Refusal({command, "--set", "run.steps=0"}), StartsWith("--set run.steps=0: "));
  }
  EXPECT_EQ(
      Refusal({"check"}),
      "--config: is missing; a configuration file, --explain, --reference or --advise is needed");
}

TEST_F(RunCommands, NeedSettingsThatAreKeysWithValues) {
  for (const std::string command : {"train", "check"}) {
    const auto refusal = [&](const std::string& set) {
      return Refusal({command, "--config", config_, "--set", set});
    };
    EXPECT_THAT(refusal("run.steps"), HasSubstr("run.steps"));
    EXPECT_THAT(refusal("run.steps=-1"), HasSubstr("run.steps"));
    EXPECT_THAT(refusal("run.step=1"), HasSubstr("did you mean \"run.steps\"?"));
  }
  EXPECT_THAT(Refusal({"train", "--config", config_, "--workers", "-1"}),
              StartsWith("--workers: "));
  EXPECT_THAT(Refusal({"train", "--config", config_, "--workers", "two"}), StartsWith("--workers"));
}

TEST_F(RunCommands, TrainRefusesADirectoryBeforeItLooksAtTheModel) {
  folder_.Write("run/config.yaml", "");
  EXPECT_EQ(Refusal({"train", "--config", config_, "--run-dir", folder_ / "run"}),
            "run: holds a run already; continue it with --resume, or start a new one in another "
            "--run-dir");
  EXPECT_EQ(Refusal({"train", "--config", config_, "--run-dir", folder_ / "new", "--resume"}),
            "new: holds no run to resume; leave --resume out to start one here");
  folder_.Write("run/metrics.jsonl", "{\"step\":0}\n{\"step\":4}\n");
  EXPECT_EQ(Refusal({"train", "--config", config_, "--run-dir", folder_ / "run", "--resume"}),
            "--resume: run.steps is 3; at least 5, which are done already");
}

TEST_F(RunCommands, CheckExplainsKeysWithoutAConfiguration) {
  const auto output = [](const std::vector<std::string>& words) {
    const CapturedOutput captured;
    const absl::Status status = Run(words);
    EXPECT_TRUE(status.ok()) << status;
    return captured.out();
  };
  EXPECT_EQ(output({"check", "--reference"}), config::ReferenceYaml());
  EXPECT_EQ(output({"check", "--explain", "run.seed"}), *config::KeyHelp("run.seed"));
  EXPECT_THAT(output({"check", "--explain", "learner"}), HasSubstr("learning_rate"));
  EXPECT_THAT(Refusal({"check", "--explain", "run.sed"}), HasSubstr("run.seed"));
}

TEST_F(RunCommands, CheckRefusesWhatAnAnswerWithoutAConfigurationWouldPassOver) {
  EXPECT_EQ(Refusal({"check", "--explain", "run.seed", "--config", config_, "--plan"}),
            "--explain: given with --config, --plan; --explain stands alone");
  EXPECT_EQ(Refusal({"check", "--reference", "--set", "run.seed=1", "--device-memory", "80GiB"}),
            "--reference: given with --set, --device-memory; --reference stands alone");
  EXPECT_EQ(Refusal({"check", "--explain", "run.seed", "--reference"}),
            "--reference: given with --explain; --reference stands alone");
  EXPECT_EQ(Refusal({"check", "--advise", folder_.path(), "--explain", "run.seed"}),
            "--advise: given with --explain; --advise stands alone");
  EXPECT_EQ(Refusal({"check", "--advise", folder_.path(), "--config", config_}),
            "--advise: given with --config; --advise stands alone");
}

TEST_F(RunCommands, CheckPlansFromShapesWithoutWeightsDataOrDevices) {
  const std::string preset = ATTNRL_SOURCE_DIR "/deploy/local/paper/attnrl-7b.yaml";
  const CapturedOutput captured;
  const absl::Status status =
      Run({"check", "--config", preset, "--plan", "--device-memory", "80GiB"});
  EXPECT_TRUE(status.ok()) << status;
  const std::string out = captured.out();
  EXPECT_THAT(out, HasSubstr("attnrl-7b.yaml fits by its shapes\nmodel   Qwen2, 7.6"));
  EXPECT_THAT(out, HasSubstr(" x worker"));
  EXPECT_THAT(out, HasSubstr(" x learner rank"));
  EXPECT_EQ(captured.err(), "");
}

TEST_F(RunCommands, CheckPlansEveryPresetOfThePaperForDevicesOf80GiB) {
  const CapturedOutput captured;
  int presets = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(ATTNRL_SOURCE_DIR "/deploy/local/paper")) {
    if (file.path().extension() != ".yaml") continue;
    ++presets;
    const absl::Status status =
        Run({"check", "--config", file.path(), "--plan", "--device-memory", "80GiB"});
    EXPECT_TRUE(status.ok()) << file.path() << ": " << status;
  }
  EXPECT_GE(presets, 14);
}

TEST_F(RunCommands, CheckNamesMistypedVariablesWithAPlanToo) {
  setenv("ATTNRL_RUN_STEP", "1", 1);
  const CapturedOutput captured;
  const absl::Status status =
      Run({"check", "--config", ATTNRL_SOURCE_DIR "/deploy/local/paper/attnrl-7b.yaml", "--plan"});
  unsetenv("ATTNRL_RUN_STEP");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(captured.err(),
            "warning: the environment variable ATTNRL_RUN_STEP (did you mean ATTNRL_RUN_STEPS?) "
            "names no key and is ignored\n");
}

TEST_F(RunCommands, CheckRefusesAPlanThatCannotFit) {
  const std::string preset = ATTNRL_SOURCE_DIR "/deploy/local/paper/attnrl-7b.yaml";
  const auto refusal = [&](const std::string& size) {
    return Refusal({"check", "--config", preset, "--plan", "--device-memory", size});
  };
  EXPECT_THAT(refusal("40GiB"), StartsWith("rollout."));
  EXPECT_THAT(refusal("80G"), StartsWith("--device-memory: \"80G\" is no size; "));
  const std::string empty = folder_.Write("empty.yaml", "");
  EXPECT_EQ(Refusal({"check", "--config", empty, "--plan"}),
            "empty.yaml: model.path: is not set; a folder with a config.json is needed");
  EXPECT_EQ(Refusal({"check", "--config", preset, "--device-memory", "80GiB"}),
            "--device-memory: given without --plan; both, or neither");
}

TEST_F(RunCommands, CommandsOnARunNeedOneThatGoesOn) {
  for (const std::string command : {"status", "drain", "pause", "resume", "workers"}) {
    const auto refusal = [&](const std::string& scheduler) {
      return Refusal({command, "--scheduler", scheduler});
    };
    EXPECT_THAT(refusal(folder_.path()), HasSubstr(": holds no run; "));
    EXPECT_EQ(refusal("nowhere"),
              "--scheduler: \"nowhere\" is neither a run directory nor an address; RUN_DIR, "
              "unix:/path or host:port");
    EXPECT_THAT(refusal("unix:relative"), StartsWith("address unix:relative: "));
    EXPECT_THAT(refusal("elsewhere:80"), HasSubstr("is not on this machine, and there is no TLS"));
    EXPECT_EQ(Refusal({command, "--scheduler", "a:1", "--certificate", "a.crt", "--ca", "system"}),
              "--certificate: given without --key or --ca, or the other way round; all three, or "
              "none");
    EXPECT_EQ(Refusal({command}), "--scheduler: is required; see attnrl " + command + " --help");
  }
  for (const char* seconds : {"-1", "591", "nan", "soon"}) {
    EXPECT_THAT(Refusal({"drain", "--scheduler", "a:1", "--grace-seconds", seconds}),
                HasSubstr("--grace-seconds"));
  }
}

TEST_F(RunCommands, SayWhereNobodyAnswers) {
  const std::string address = "unix:" + (folder_ / "s.sock");
  for (const std::string command : {"status", "drain", "pause", "resume", "workers"}) {
    const CapturedOutput output;
    const absl::Status status = Run({command, "--scheduler", address});
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                StartsWith("no scheduler answers at " + address + " ("));
    EXPECT_EQ(output.out(), "");
  }
}

TEST_F(RunCommands, SayHowARunThatWasKilledGoesOn) {
  folder_.Write("run/config.yaml", "run:\n  steps: 3\n");
  const std::string run = folder_ / "run";
  ASSERT_TRUE(MakeSocketFolder(run).ok());  // which a killed `attnrl train` leaves behind
  const absl::Status status = Run({"status", "--scheduler", run});
  RemoveSocketFolder(run);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(
      std::string(status.message()),
      EndsWith(absl::StrCat("; it may be starting, and where it was killed it goes on with: "
                            "attnrl train --config ",
                            run, "/config.yaml --run-dir ", run, " --resume")));
}

TEST(SchedulerFlags, HaveAHintThatReachesTheSameScheduler) {
  SchedulerFlags flags;
  flags.scheduler = "scheduler.run:7001";
  EXPECT_EQ(flags.ResumeHint(), "attnrl resume --scheduler scheduler.run:7001");
  flags.security = {.run_id = "a", .certificate = "o.crt", .key = "o.key", .ca = "system"};
  EXPECT_EQ(flags.ResumeHint(),
            "attnrl resume --scheduler scheduler.run:7001 --certificate o.crt --key o.key --ca "
            "system --run-id a");
}

}  // namespace
}  // namespace attnrl::tools
