// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/status.h"
#include "common/json/json.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/commands/run/scheduler_flags.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

struct Options {
  SchedulerFlags flags;
  std::string reason;
};

absl::Status Pause(const Options& options) {
  const SchedulerFlags& flags = options.flags;
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::Admin> admin, flags.Find());
  if (absl::Status status = admin->Pause(options.reason, SchedulerFlags::kDeadline); !status.ok()) {
    return flags.Explain(status);
  }
  const absl::StatusOr<scheduler::RunStatus> now = admin->Status(SchedulerFlags::kDeadline);
  if (!now.ok()) return flags.Explain(now.status());
  const std::string state(scheduler::RunStateName(now->state));
  if (flags.json) {
    std::cout << PrintJson(nlohmann::ordered_json{
                     {"state", state}, {"reason", now->reason}, {"leases", now->active_leases}})
              << std::endl;
  } else if (now->state != scheduler::RunState::kPaused) {
    std::cout << "the run is " << state << ", and a pause has no effect on that" << std::endl;
  } else {
    std::cout << Escaped(now->reason) << "; workers still have "
              << Counted(now->active_leases, "item") << "; go on with: " << flags.ResumeHint()
              << std::endl;
  }
  if (!flags.watch) return absl::OkStatus();
  return flags.Explain(admin->WatchStatus([&flags](const scheduler::RunStatus& status) {
    flags.Print(status);
    return status.state == scheduler::RunState::kPaused && status.active_leases > 0 &&
           std::cout.good();
  }));
}

}  // namespace

// `attnrl pause`: no new work is handed out until `attnrl resume`.
void AddPauseCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("pause", "Stop handing out work until the run is resumed");
  auto options = std::make_shared<Options>();
  AddSchedulerFlags(command, &options->flags, "Print JSON instead of text",
                    "Print the status after each change until no work is out");
  command.Add("--reason", &options->reason, "Shown in the status (default: by request)");
  command.Footer(
      "Work that is out is finished and kept. `attnrl train` goes on waiting; the pause outlives "
      "restarts.\n"
      "Example:\n  attnrl pause --scheduler runs/quickstart --reason lunch");
  command.WhenChosen([options, run] { *run = [options] { return Pause(*options); }; });
}

}  // namespace attnrl::tools
