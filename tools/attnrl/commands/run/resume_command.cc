// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/status.h"
#include "common/json/json.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/commands/run/scheduler_flags.h"

namespace attnrl::tools {
namespace {

using scheduler::RunState;

absl::Status Resume(const SchedulerFlags& flags) {
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::Admin> admin, flags.Find());
  // Only for what is said afterwards: where it can't be had, the run must go on all the same.
  const absl::StatusOr<scheduler::RunStatus> before = admin->Status(SchedulerFlags::kDeadline);
  if (absl::Status status = admin->Resume(/*keep_pause=*/false, SchedulerFlags::kDeadline);
      !status.ok()) {
    return flags.Explain(status);
  }
  const absl::StatusOr<scheduler::RunStatus> now = admin->Status(SchedulerFlags::kDeadline);
  if (!now.ok()) return flags.Explain(now.status());
  const bool stood =
      !before.ok() || before->state == RunState::kPaused || before->state == RunState::kDraining;
  const std::string state(scheduler::RunStateName(now->state));
  if (flags.json) {
    std::cout << PrintJson(nlohmann::ordered_json{{"state", state}, {"resumed", stood}})
              << std::endl;
  } else if (stood) {
    std::cout << "resumed after " << now->steps_done << " of " << now->steps_total
              << " steps; the run is " << state << std::endl;
  } else {
    std::cout << "there was nothing to resume: the run is " << state << std::endl;
  }
  if (!flags.watch) return absl::OkStatus();
  return flags.Explain(admin->WatchStatus([&flags](const scheduler::RunStatus& status) {
    flags.Print(status);
    return status.state != RunState::kFinished && std::cout.good();
  }));
}

}  // namespace

// `attnrl resume`: ends a pause or a drain.
void AddResumeCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("resume", "Go on with a run that is paused or drains");
  auto flags = std::make_shared<SchedulerFlags>();
  AddSchedulerFlags(command, flags.get(), "Print JSON instead of text",
                    "Print the status after each change until the run has finished");
  command.Footer(
      "Also after a pause by run.max_empty_batches: the run gets as many empty batches again. A "
      "run whose processes have ended goes on with `attnrl train --resume`, as `attnrl status` "
      "says.\n"
      "Example:\n  attnrl resume --scheduler runs/quickstart");
  command.WhenChosen([flags, run] { *run = [flags] { return Resume(*flags); }; });
}

}  // namespace attnrl::tools
