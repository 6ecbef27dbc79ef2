// SPDX-License-Identifier: Apache-2.0
#include "common/service/service_main.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::service {
namespace {

using ::testing::HasSubstr;
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

  static std::string Refusal(std::vector<const char*> args) {
    args.insert(args.begin(), "attnrl-test");
    Flags flags;
    bool answered = false;
    const absl::Status status =
        ParseFlags(kProgram, static_cast<int>(args.size()), args.data(), &flags, &answered);
    EXPECT_TRUE(IsInputError(status));
    return std::string(status.message());
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
  EXPECT_THAT(Refusal({"--run-dir", "x"}), HasSubstr("--config is required"));
  EXPECT_THAT(Refusal({"--config", "x"}), HasSubstr("--run-dir is required"));
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

}  // namespace
}  // namespace attnrl::service
