// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/commands/run/scheduler_flags.h"

#include <filesystem>
#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/attnrl/hint.h"
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
  std::string message =
      absl::StrCat("no scheduler answers at ", scheduler, " (", std::string(status.message()), ")");
  // Also after `attnrl train` was killed, which leaves the name of its sockets behind.
  std::error_code error;
  if (std::filesystem::exists(scheduler + "/config.yaml", error)) {
    absl::StrAppend(&message, "; it may be starting, and where it was killed it goes on with: ",
                    tools::ResumeHint(scheduler));
  }
  return absl::Status(status.code(), message);
}

std::string SchedulerFlags::ResumeHint() const {
  std::vector<std::string> words = {"resume", "--scheduler", scheduler};
  if (!security.certificate.empty()) {
    words.insert(words.end(), {"--certificate", security.certificate, "--key", security.key, "--ca",
                               security.ca, "--run-id", security.run_id});
  }
  if (security.allow_plaintext) words.emplace_back("--allow-plaintext");
  return Hint(words);
}

void SchedulerFlags::Print(const scheduler::RunStatus& status) const {
  std::cout << (json ? StatusJson(status) + "\n" : StatusText(status, ResumeHint())) << std::flush;
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
