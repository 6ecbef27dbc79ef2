// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/commands/run/scheduler_flags.h"

namespace attnrl::tools {
namespace {

absl::Status Show(const SchedulerFlags& flags) {
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::Admin> admin, flags.Find());
  if (!flags.watch) {
    const absl::StatusOr<scheduler::RunStatus> status = admin->Status(SchedulerFlags::kDeadline);
    if (!status.ok()) return flags.Explain(status.status());
    flags.Print(*status);
    return absl::OkStatus();
  }
  return flags.Explain(admin->WatchStatus([&flags](const scheduler::RunStatus& status) {
    flags.Print(status);
    return status.state != scheduler::RunState::kFinished && std::cout.good();
  }));
}

}  // namespace

// `attnrl status`: what a run does now, once or after each change.
void AddStatusCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("status", "Print what a run is doing");
  auto flags = std::make_shared<SchedulerFlags>();
  AddSchedulerFlags(command, flags.get(), "Print one line of JSON instead of text",
                    "Print it again after each change until the run has finished");
  command.Footer("Example:\n  attnrl status --scheduler runs/quickstart --watch");
  command.WhenChosen([flags, run] { *run = [flags] { return Show(*flags); }; });
}

}  // namespace attnrl::tools
