// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/scheduler_address.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/rpc/security/testing/certificates.h"
#include "common/testing/temporary_folder.h"
#include "tools/attnrl/train/run_directory.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

std::string Refusal(const std::string& address_or_run) {
  const auto admin = FindScheduler(address_or_run);
  EXPECT_TRUE(IsInputError(admin.status())) << admin.status();
  return std::string(admin.status().message());
}

TEST(FindScheduler, TakesAddressesAsTheyAre) {
  for (const char* address : {"unix:/nowhere/s.sock", "127.0.0.1:4711", "[::1]:80"}) {
    // Connects only when it is asked.
    EXPECT_TRUE(FindScheduler(address).ok()) << address;
  }
}

TEST(FindScheduler, TakesOtherMachinesWithTlsOrWhereAskedTo) {
  for (const char* address : {"scheduler.run:80", "dns:///scheduler.run:80"}) {
    EXPECT_EQ(Refusal(address),
              absl::StrCat("address ", address,
                           ": is not on this machine, and there is no TLS; a Unix socket, "
                           "loopback, security.certificate with its key and ca, or "
                           "security.allow_plaintext: true to try it out"));
    EXPECT_TRUE(FindScheduler(address, {.allow_plaintext = true}).ok());
    rpc::CertificateAuthority authority;
    EXPECT_TRUE(FindScheduler(address, authority.Issue("operator")).ok());
  }
}

TEST(FindScheduler, FindsTheSocketOfARunThatGoesOn) {
  const TemporaryFolder run;
  const auto sockets = MakeSocketFolder(run.path());
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  EXPECT_TRUE(FindScheduler(run.path()).ok());
  EXPECT_TRUE(FindScheduler(run.path() + "/").ok());
  RemoveSocketFolder(run.path());
}

TEST(FindScheduler, SaysHowARunThatHasStoppedGoesOn) {
  const TemporaryFolder run;
  config::Config config;
  config.run.steps = 2;
  run.Write("config.yaml", config::ToYaml(config));
  run.Write("metrics.jsonl", "{\"step\":0}\n");
  const std::string resume = absl::StrCat("attnrl train --config ", run.path(),
                                          "/config.yaml --run-dir ", run.path(), " --resume");
  const std::string stopped = absl::StrCat(
      run.path(), ": the run there isn't going on, with 1 of 2 steps; go on with: ", resume);
  EXPECT_EQ(Refusal(run.path()), stopped);
  fs::create_directory_symlink("/nowhere/attnrl-gone", run / "sockets");  // killed, then rebooted
  EXPECT_EQ(Refusal(run.path()), stopped);

  run.Write("metrics.jsonl", "{\"step\":0}\n{\"step\":1}\n");
  run.Write("checkpoints/step-2/config.json", "{}");
  EXPECT_EQ(Refusal(run.path()),
            absl::StrCat(run.path(),
                         ": the run there has finished, with 2 of 2 steps; look at it with: attnrl "
                         "show ",
                         run.path(), " --batch 1; for more: ", resume, " --set run.steps=4"));
}

TEST(FindScheduler, SaysThatADirectoryHoldsNoRun) {
  const TemporaryFolder folder;
  EXPECT_EQ(Refusal(folder.path()),
            folder.path() + ": holds no run; RUN_DIR, unix:/path or host:port");
  folder.Write("scheduler.db", "");  // of a service that was started without attnrl train
  EXPECT_EQ(Refusal(folder.path()),
            folder.path() + ": the run there isn't going on; the address of its scheduler");
  folder.Write("config.yaml", "run: {steps: x}\n");
  EXPECT_EQ(
      Refusal(folder.path()),
      folder.path() + "/config.yaml:1: run.steps is \"x\"; a whole number from 1 to 1000000000");
}

TEST(FindScheduler, RefusesWhatIsNeitherARunNorAnAddress) {
  EXPECT_EQ(Refusal("nowhere/typo"),
            "--scheduler: \"nowhere/typo\" is neither a run directory nor an address; RUN_DIR, "
            "unix:/path or host:port");
  EXPECT_EQ(Refusal(""),
            "--scheduler: \"\" is neither a run directory nor an address; RUN_DIR, unix:/path or "
            "host:port");
  EXPECT_EQ(Refusal("unix:relative"),
            "address unix:relative: the socket's path is not absolute; unix:/absolute/path or "
            "host:port");
  EXPECT_EQ(Refusal("host:port"),
            "address host:port: the port is no number from 0 to 65535; unix:/absolute/path or "
            "host:port");
}

}  // namespace
}  // namespace attnrl::tools
