// SPDX-License-Identifier: Apache-2.0
#include "tools/drain_command.h"

#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "tools/train/scheduler_address.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::string scheduler;
  double grace_seconds = 30;
  bool json = false;
};

absl::Status Drain(const Options& options) {
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::Admin> admin,
                          FindScheduler(options.scheduler));
  ATTNRL_ASSIGN_OR_RETURN(const uint32_t leases,
                          admin->Drain(absl::Seconds(options.grace_seconds)));
  if (options.json) {
    std::cout << "{\"returned_leases\":" << leases << "}" << std::endl;
  } else {
    std::cout << "drained: " << leases << " leases were returned or taken back" << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

void AddDrainCommand(CLI::App& app, Work* run) {
  CLI::App* command =
      app.add_subcommand("drain", "Hand out no more work and wait for the work that is out");
  auto options = std::make_shared<Options>();
  command->add_option("--scheduler", options->scheduler, "Run directory, unix:/path or host:port")
      ->required();
  command
      ->add_option("--grace-seconds", options->grace_seconds,
                   "How long to wait before leased work is taken back")
      ->check(CLI::Range(0.0, 3600.0));
  command->add_flag("--json", options->json, "JSON instead of text");
  command->footer("Example:\n  attnrl drain --scheduler runs/quickstart");
  command->callback([options, run] { *run = [options] { return Drain(*options); }; });
}

}  // namespace attnrl::tools
