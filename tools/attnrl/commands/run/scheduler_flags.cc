// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/commands/run/scheduler_flags.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "tools/attnrl/train/scheduler_address.h"
#include "tools/attnrl/train/status_text.h"

namespace attnrl::tools {

absl::StatusOr<std::unique_ptr<scheduler::Admin>> SchedulerFlags::Find() const {
  return FindScheduler(scheduler);
}

absl::Status SchedulerFlags::Explain(const absl::Status& status) const {
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
  return absl::Status(status.code(), absl::StrCat("no scheduler answers at ", scheduler, " (",
                                                  std::string(status.message()), ")"));
}

void SchedulerFlags::Print(const scheduler::RunStatus& status) const {
  std::cout << (json ? StatusJson(status) + "\n" : StatusText(status)) << std::flush;
}

void AddSchedulerFlags(Command& command, SchedulerFlags* flags, const std::string& json_help,
                       const std::string& watch_help) {
  command.Add("--scheduler", &flags->scheduler, "Run directory, unix:/path or host:port")
      .Required();
  command.AddSwitch("--json", &flags->json, json_help);
  command.AddSwitch("--watch", &flags->watch, watch_help);
}

}  // namespace attnrl::tools
