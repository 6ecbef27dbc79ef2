// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/commands/run/scheduler_flags.h"
#include "tools/attnrl/train/workers_text.h"

namespace attnrl::tools {
namespace {

absl::Status Show(const SchedulerFlags& flags) {
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::Admin> admin, flags.Find());
  const auto print = [&flags](const scheduler::RunStatus& status) {
    std::cout << (flags.json ? WorkersJson(status.workers) + "\n" : WorkersTable(status.workers))
              << std::flush;
    return status.state != scheduler::RunState::kFinished && std::cout.good();
  };
  if (flags.watch) return flags.Explain(admin->WatchStatus(print));
  const absl::StatusOr<scheduler::RunStatus> status = admin->Status(SchedulerFlags::kDeadline);
  if (!status.ok()) return flags.Explain(status.status());
  print(*status);
  return absl::OkStatus();
}

}  // namespace

// `attnrl workers`: who samples for a run.
void AddWorkersCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("workers", "List the workers that are connected to a run");
  auto flags = std::make_shared<SchedulerFlags>();
  AddSchedulerFlags(command, flags.get(), "Print one line of JSON instead of a table",
                    "Print it again after each change until the run has finished");
  command.Footer(
      "A worker's version is that of the weights which its newest lease needs; a parked one gets "
      "no work.\n"
      "Example:\n  attnrl workers --scheduler runs/quickstart");
  command.WhenChosen([flags, run] { *run = [flags] { return Show(*flags); }; });
}

}  // namespace attnrl::tools
