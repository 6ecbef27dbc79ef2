// SPDX-License-Identifier: Apache-2.0
#include "common/service/service_main.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const Program kProgram = {.binary = "attnrl-test",
                          .version = "1",
                          .purpose = "Tests",
                          .example = "attnrl-test --config run.yaml",
                          .name = "test",
                          .run_dir = "Folder of the run",
                          .needs_run_dir = true,
                          .keeps_files = true};

class ServiceMain : public ::testing::Test {
 protected:
  ServiceMain() { folder_.Write("run.yaml", "run: {steps: 3}\n"); }

  static absl::Status Parse(const Program& program, std::vector<const char*> args, Flags* flags) {
    args.insert(args.begin(), "attnrl-test");
    bool answered = false;
    return ParseFlags(program, static_cast<int>(args.size()), args.data(), flags, &answered);
  }
  static std::string Refusal(const std::vector<const char*>& args) {
    Flags flags;
    const absl::Status status = Parse(kProgram, args, &flags);
    EXPECT_TRUE(IsInputError(status));
    return std::string(status.message());
  }
  // What a main with these flags leaves behind.
  struct Outcome {
    int code = 0;
    bool served = false;
    std::string out = {};
    std::string err = {};
  };
  static Outcome RunMainWith(const Program& program, std::vector<std::string> args,
                             const absl::Status& status = absl::OkStatus()) {
    args.insert(args.begin(), "attnrl-test");
    std::vector<const char*> argv;
    for (const std::string& arg : args) argv.push_back(arg.c_str());
    Outcome outcome;
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    outcome.code = Main(program, static_cast<int>(argv.size()), argv.data(),
                        [&](const config::Config&, const Flags&) {
                          outcome.served = true;
                          observe::LogInfo("serving");
                          return status;
                        });
    outcome.out = ::testing::internal::GetCapturedStdout();
    outcome.err = ::testing::internal::GetCapturedStderr();
    return outcome;
  }
  int RunMain(const absl::Status& status) {
    const std::string config = folder_ / "run.yaml";
    const char* args[] = {"attnrl-test",          "--config", config.c_str(), "--run-dir",
                          folder_.path().c_str(), "--set",    "run.seed=5"};
    return Main(kProgram, 7, args, [&](const config::Config& read, const Flags& flags) {
      EXPECT_EQ(read.run.steps, 3);
      EXPECT_EQ(read.run.seed, 5u);
      EXPECT_EQ(flags.name, "test");
      observe::LogInfo("here");
      return status;
    });
  }

  const TemporaryFolder folder_;
};

TEST_F(ServiceMain, NamesTheMisspeltFlagAndTheRightOneNotTheOneThatIsMissing) {
  EXPECT_THAT(Refusal({"--confg", "run.yaml", "--run-dir", "x"}),
              StartsWith("--confg: no such flag; did you mean --config? flags are "));
  EXPECT_THAT(Refusal({"--config", "run.yaml", "--rundir=x"}),
              StartsWith("--rundir: no such flag; did you mean --run-dir? "));
  EXPECT_THAT(Refusal({"--config", "a", "--run-dir", "b", "--address", "c"}),
              StartsWith("--address: no such flag; "));
  EXPECT_THAT(Refusal({"--config", "a", "--run-dir", "b", "more"}),
              StartsWith("more: unexpected argument; "));
}

TEST_F(ServiceMain, NamesTheFlagThatIsMissing) {
  EXPECT_EQ(Refusal({"--run-dir", "x"}),
            "--config: is missing; the run's configuration file, or settings over the defaults "
            "with --set");
  EXPECT_THAT(Refusal({"--config", "x"}), StartsWith("--run-dir: is required; "));
}

TEST_F(ServiceMain, SettingsOverTheDefaultsNeedNoConfigurationFile) {
  EXPECT_TRUE(RunMainWith(kProgram, {"--set", "run.steps=7", "--run-dir", folder_.path()}).served);
}

TEST_F(ServiceMain, TheExitCodeSaysWhetherAnotherTryCanHelp) {
  EXPECT_EQ(RunMain(absl::OkStatus()), 0);
  EXPECT_EQ(RunMain(absl::UnavailableError("away")), 1);
  EXPECT_EQ(RunMain(InputError("a.b", "wrong", "right")), 2);
  EXPECT_EQ(RunMain(absl::ResourceExhaustedError("no space")), 3);
  std::ifstream log(folder_ / "logs/test.log");
  const std::string text((std::istreambuf_iterator<char>(log)), {});
  EXPECT_THAT(text, HasSubstr("\"here\""));
  EXPECT_THAT(text, HasSubstr("no space"));
}

TEST_F(ServiceMain, ReadsEveryFlagInBothForms) {
  Program program = kProgram;
  program.has_address = true;
  Flags flags;
  ASSERT_TRUE(Parse(program,
                    {"--config=a b.yaml", "--set", "data.eval=[/a, /b]", "--set=run.steps=5",
                     "--run-dir", "/r", "--name=w-1", "--address", "unix:/s"},
                    &flags)
                  .ok());
  EXPECT_EQ(flags.config_file, "a b.yaml");
  EXPECT_EQ(flags.sets, (std::vector<std::string>{"data.eval=[/a, /b]", "run.steps=5"}));
  EXPECT_EQ(flags.run_dir, "/r");
  EXPECT_EQ(flags.name, "w-1");
  EXPECT_EQ(flags.address, "unix:/s");
}

TEST_F(ServiceMain, AnswersHelpAndVersionOnStandardOutputWithoutServing) {
  const Outcome version = RunMainWith(kProgram, {"--version"});
  EXPECT_EQ(version.out, "attnrl-test 1\n");
  const Outcome help = RunMainWith(kProgram, {"--help"});
  for (const char* part :
       {"Tests\n", "Usage: attnrl-test", "--config", "--set", "--run-dir", "Folder of the run",
        "--name", "--version", "Example:\n  attnrl-test --config run.yaml"}) {
    EXPECT_THAT(help.out, HasSubstr(part));
  }
  EXPECT_THAT(help.out, Not(HasSubstr("--address")));
  for (const Outcome& each : {version, help}) {
    EXPECT_EQ(each.code, 0);
    EXPECT_EQ(each.err, "");
    EXPECT_FALSE(each.served);
  }
}

TEST_F(ServiceMain, EndsWithOneLineWhereTheConfigurationIsWrong) {
  const std::string config = folder_.Write("wrong.yaml", "run:\n  steps: \"a\\nb\"\n");
  const Outcome wrong = RunMainWith(kProgram, {"--config", config, "--run-dir", folder_.path()});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_FALSE(wrong.served);
  EXPECT_EQ(wrong.err, "error: " + config +
                           ":2: run.steps is \"a\\nb\"; a whole number from 1 to 1000000000\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "logs"));
}

TEST_F(ServiceMain, LogsToStandardErrorWhereThereIsNoRunDirectory) {
  Program program = kProgram;
  program.needs_run_dir = false;
  const std::vector<std::string> args = {"--config", folder_ / "run.yaml"};
  const Outcome fine = RunMainWith(program, args);
  EXPECT_EQ(fine.code, 0);
  EXPECT_EQ(fine.err, "info: serving\n");
  const Outcome failed = RunMainWith(program, args, absl::UnavailableError("gone\naway"));
  EXPECT_EQ(failed.code, 1);
  EXPECT_EQ(failed.err, "info: serving\nerror: gone\\naway\n");
}

TEST_F(ServiceMain, SaysOnceOnStandardErrorWhyItEndsAndOnceInItsLog) {
  const Outcome failed = RunMainWith(
      kProgram, {"--config", folder_ / "run.yaml", "--run-dir", folder_.path(), "--name", "w"},
      InputError("RANK", "not set", "a number"));
  EXPECT_EQ(failed.code, 2);
  EXPECT_EQ(failed.err, "error: RANK: not set; a number\n");
  EXPECT_THAT(folder_.Read("logs/w.log"), HasSubstr("\"the service ends\""));
}

TEST_F(ServiceMain, TakesAFullDiskForAnyErrorWhereTheServiceKeepsNoFiles) {
  Program program = kProgram;
  program.keeps_files = false;
  const std::vector<std::string> args = {"--config", folder_ / "run.yaml", "--run-dir",
                                         folder_.path()};
  EXPECT_EQ(RunMainWith(program, args, absl::ResourceExhaustedError("full")).code, 1);
  EXPECT_EQ(RunMainWith(kProgram, args, absl::ResourceExhaustedError("full")).code, 3);
}

TEST_F(ServiceMain, ShowsWhenAndWhyTheProcessBeforeItFailed) {
  const std::vector<std::string> args = {
      "--config", folder_ / "run.yaml", "--run-dir", folder_.path(), "--name", "w"};
  const std::string series = "attnrl_last_failure_timestamp_seconds{code=\"DATA_LOSS\"} ";
  RunMainWith(kProgram, args, absl::CancelledError("told to end"));
  RunMainWith(kProgram, args);
  EXPECT_THAT(observe::MetricsText(), Not(HasSubstr(series)));
  const int64_t before = absl::ToUnixSeconds(Clock::Real().Now());
  RunMainWith(kProgram, args, absl::DataLossError("a page is damaged"));
  EXPECT_THAT(observe::MetricsText(), Not(HasSubstr(series)));
  RunMainWith(kProgram, args);
  EXPECT_THAT(observe::MetricsText(), HasSubstr(series));
  EXPECT_GE(observe::GetGauge(observe::kLastFailureTimestampSeconds, {"DATA_LOSS"}).Value(),
            static_cast<double>(before));
}

TEST_F(ServiceMain, GoesOnWhereWhatWasKeptOfAFailureIsDamaged) {
  folder_.Write("logs/w.failure", "yesterday");
  const Outcome outcome = RunMainWith(
      kProgram, {"--config", folder_ / "run.yaml", "--run-dir", folder_.path(), "--name", "w"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(outcome.served);
}

TEST_F(ServiceMain, NamesVariablesThatNameNoKeyInTheLog) {
  ASSERT_EQ(::setenv("ATTNRL_NO_SUCH_KEY", "1", 1), 0);
  const Outcome outcome = RunMainWith(
      kProgram, {"--config", folder_ / "run.yaml", "--run-dir", folder_.path(), "--name", "w"});
  ::unsetenv("ATTNRL_NO_SUCH_KEY");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(folder_.Read("logs/w.log"),
              HasSubstr("\"fields\":{\"variable\":\"ATTNRL_NO_SUCH_KEY\"}"));
}

TEST_F(ServiceMain, RefusesAnEmptyRunDirectoryWhereItNeedsOne) {
  EXPECT_EQ(Refusal({"--config", "a", "--run-dir", ""}), "--run-dir: is empty; a value is needed");
  Program program = kProgram;
  program.needs_run_dir = false;
  Flags flags;
  EXPECT_TRUE(Parse(program, {"--config", "a", "--run-dir", ""}, &flags).ok());
}

}  // namespace
}  // namespace attnrl::service
