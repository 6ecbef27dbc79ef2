// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/commands/run/scheduler_flags.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/attnrl/train/scheduler_address.h"
#include "tools/attnrl/train/status_text.h"

namespace attnrl::tools {
namespace {

// The rules of the section `security` (common/config/validate.cc) for flags.
absl::Status CheckSecurity(const rpc::Security& security) {
  const bool any = !security.certificate.empty() || !security.key.empty() || !security.ca.empty();
  const bool all = !security.certificate.empty() && !security.key.empty() && !security.ca.empty();
  if (any == all) return absl::OkStatus();
  return InputError("--certificate", "given without --key or --ca, or the other way round",
                    "all three, or none");
}

}  // namespace

absl::StatusOr<std::unique_ptr<scheduler::Admin>> SchedulerFlags::Find() const {
  ATTNRL_RETURN_IF_ERROR(CheckSecurity(security));
  return FindScheduler(scheduler, security);
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
  rpc::Security& security = flags->security;
  command.Add("--certificate", &security.certificate,
              "Certificate of the role operator (PEM), for host:port with TLS");
  command.Add("--key", &security.key, "Private key of --certificate (PEM)");
  command.Add("--ca", &security.ca,
              "Certificates that the scheduler's must lead to (PEM), or system");
  command.Add("--run-id", &security.run_id, "The run's name in the certificates (run.id)");
  command.AddSwitch("--allow-plaintext", &security.allow_plaintext,
                    "Allow TCP to another machine without TLS");
  command.AddSwitch("--json", &flags->json, json_help);
  command.AddSwitch("--watch", &flags->watch, watch_help);
}

}  // namespace attnrl::tools
