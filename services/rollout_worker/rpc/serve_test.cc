// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/rpc/serve.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/words.h"
#include "common/kernels/isa.h"
#include "common/observe/metrics.h"
#include "common/testing/shared_data.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::rollout {
namespace {

// Ends the process with what a worker that was told to stop before it began says that its kernels
// use: a whole one, of a configuration with this `rollout.isa`.
[[noreturn]] void ServeWith(const std::string& isa) {
  config::Config config;
  config.model.path = SharedData("data/oracle/qwen2-tiny");
  config.rollout.isa = isa;
  config.rollout.max_prompt_tokens = 16;
  config.rollout.max_response_tokens = 16;
  int code = 100;
  {
    const TemporaryFolder run;
    config.learner.address = "unix:" + run.path() + "/learner.sock";
    config.scheduler.address = "unix:" + run.path() + "/scheduler.sock";
    rpc::ShutdownSignal& shutdown = rpc::ShutdownSignal::Install();
    shutdown.Request();
    const absl::Status status = RunService(config, {}, shutdown);
    if (status.ok()) code = static_cast<int>(kernels::UsedIsa());
    for (const auto line : absl::StrSplit(observe::MetricsText(), '\n')) {
      if (absl::StartsWith(line, "attnrl_rollout_kernel_isa{")) std::cerr << line << std::endl;
    }
    if (!status.ok()) std::cerr << status << std::endl;
  }
  ::_exit(code);
}

// In processes of their own: the kernels are chosen once for the life of one.
TEST(RunServiceDeathTest, TheKernelsUseNoMoreThanItsConfigurationSays) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ServeWith("portable"), ::testing::ExitedWithCode(0), "isa=\"portable\"} 1");
  const kernels::Isa fastest = kernels::FastestIsa();
  EXPECT_EXIT(ServeWith("auto"), ::testing::ExitedWithCode(static_cast<int>(fastest)),
              absl::StrCat("isa=\"", std::string(WordOf(fastest)), "\"} 1"));
}

}  // namespace
}  // namespace attnrl::rollout
