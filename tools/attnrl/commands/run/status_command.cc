// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/train/scheduler_address.h"
#include "tools/attnrl/train/status_text.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::string scheduler;
  bool json = false;
  bool watch = false;
};

void Print(const Options& options, const scheduler::RunStatus& status) {
  std::cout << (options.json ? StatusJson(status) + "\n" : StatusText(status)) << std::flush;
}

absl::Status Show(const Options& options) {
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::Admin> admin,
                          FindScheduler(options.scheduler));
  if (!options.watch) {
    ATTNRL_ASSIGN_OR_RETURN(const scheduler::RunStatus status, admin->Status(absl::Seconds(5)));
    Print(options, status);
    return absl::OkStatus();
  }
  return admin->WatchStatus([&options](const scheduler::RunStatus& status) {
    Print(options, status);
    return status.state != scheduler::RunState::kFinished && std::cout.good();
  });
}

}  // namespace

// `attnrl status`: what a run does now, once or after each change.
void AddStatusCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("status", "Print what a run is doing");
  auto options = std::make_shared<Options>();
  command.Add("--scheduler", &options->scheduler, "Run directory, unix:/path or host:port")
      .Required();
  command.AddSwitch("--json", &options->json, "Print one line of JSON instead of text");
  command.AddSwitch("--watch", &options->watch,
                    "Print it again after each change until the run has finished");
  command.Footer("Example:\n  attnrl status --scheduler runs/quickstart --watch");
  command.WhenChosen([options, run] { *run = [options] { return Show(*options); }; });
}

}  // namespace attnrl::tools
