// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/security/security.h"
#include "services/branch_scheduler/client/admin.h"
#include "tools/attnrl/command.h"

namespace attnrl::tools {

// The flags of every command that asks a run's branch-scheduler.
struct SchedulerFlags {
  std::string scheduler;
  bool json = false;
  bool watch = false;
  rpc::Security security = {.run_id = "default"};  // of TCP to the scheduler

  // How long a call may take that waits for nothing.
  static constexpr absl::Duration kDeadline = absl::Seconds(5);

  // The scheduler that --scheduler names (train/scheduler_address.h).
  absl::StatusOr<std::unique_ptr<scheduler::Admin>> Find() const;
  // The same status; where nobody answers it says so, and where.
  absl::Status Explain(const absl::Status& status) const;
  // The command line that ends a pause of this run.
  std::string ResumeHint() const;
  // On stdout, as --json asks.
  void Print(const scheduler::RunStatus& status) const;
};

void AddSchedulerFlags(Command& command, SchedulerFlags* flags, const std::string& json_help,
                       const std::string& watch_help);

}  // namespace attnrl::tools
