// SPDX-License-Identifier: Apache-2.0
#include "common/service/service_main.h"

#include <iostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/command_line/command.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/storage/files.h"

namespace attnrl::service {
namespace {

constexpr int kBadInput = 2;
constexpr int kDiskFull = 3;

void AddFlags(const Program& program, Command* command, Flags* flags) {
  command->Version(absl::StrCat(program.binary, " ", program.version));
  command->Add("--config", &flags->config_file, "Configuration file of the run (YAML)");
  command
      ->Add("--set", &flags->sets,
            "Set one configuration key, overriding the file: key=value; repeatable")
      .Repeatable();
  command->Add("--run-dir", &flags->run_dir, program.run_dir).Required(program.needs_run_dir);
  command->Add("--name", &flags->name, "Name of this process in the logs, unique in the run");
  if (program.has_address) {
    command->Add(
        "--address", &flags->address,
        "Address for weights that other workers fetch and health: unix:/path or host:port");
  }
  command->Footer(absl::StrCat("Example:\n  ", program.example));
}

absl::Status StartLog(const config::Config& config, const Flags& flags) {
  observe::LogOptions log;
  log.service = flags.name;
  if (!flags.run_dir.empty()) {
    ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(flags.run_dir + "/logs"));
    log.file = absl::StrCat(flags.run_dir, "/logs/", flags.name, ".log");
  }
  ATTNRL_ASSIGN_OR_RETURN(log.level, observe::ParseLevel(config.observe.log_level));
  ATTNRL_ASSIGN_OR_RETURN(log.console, observe::ParseLevel(config.observe.console_level));
  // Without a file stderr is the log.
  if (flags.run_dir.empty()) log.console = log.level;
  return observe::StartLog(log);
}

// RUN_DIR/logs/<name>.failure: when the last process of this name ended with an error, in seconds
// since the epoch, and its code. A metric that is counted as a process ends is never read; the next
// process shows this one.
std::string FailureFile(const Flags& flags) {
  return absl::StrCat(flags.run_dir, "/logs/", flags.name, ".failure");
}

void ShowLastFailure(const Flags& flags) {
  const auto text = storage::ReadFile(FailureFile(flags));
  if (!text.ok()) return;
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(absl::StripAsciiWhitespace(*text), absl::MaxSplits(' ', 1));
  double seconds = 0;
  if (!absl::SimpleAtod(parts.first, &seconds)) return;
  observe::Set(observe::kLastFailureTimestampSeconds, {parts.second}, seconds);
}

void KeepFailure(const Flags& flags, const absl::Status& status) {
  const std::string text = absl::StrCat(absl::ToUnixSeconds(Clock::Real().Now()), " ",
                                        absl::StatusCodeToString(status.code()), "\n");
  const absl::Status kept = storage::WriteFileAtomically(FailureFile(flags), text);
  if (!kept.ok()) observe::LogWarning("why the service ends is not kept", {{"reason", kept}});
}

absl::Status Run(const Flags& flags,
                 const std::function<absl::Status(const config::Config&, const Flags&)>& serve) {
  ATTNRL_ASSIGN_OR_RETURN(const config::Config config,
                          config::Load(flags.config_file, flags.sets, config::Environment()));
  ATTNRL_RETURN_IF_ERROR(StartLog(config, flags));
  for (const std::string& variable : config.ignored_variables) {
    observe::LogWarning("environment variable ignored: it names no key", {{"variable", variable}});
  }
  if (!flags.run_dir.empty()) ShowLastFailure(flags);
  const absl::Status status = serve(config, flags);
  // On stderr Main says it.
  if (!status.ok()) observe::LogErrorInFile("the service ends", {{"status", status}});
  // Told to end is no failure.
  if (!status.ok() && !absl::IsCancelled(status) && !flags.run_dir.empty()) {
    KeepFailure(flags, status);
  }
  observe::StopLog();
  return status;
}

int ExitCode(const Program& program, const absl::Status& status) {
  if (status.ok()) return 0;
  if (IsInputError(status)) return kBadInput;
  return program.keeps_files && absl::IsResourceExhausted(status) ? kDiskFull : 1;
}

}  // namespace

absl::Status ParseFlags(const Program& program, int argc, const char* const* argv, Flags* flags,
                        bool* answered) {
  flags->name = program.name;
  Command command(program.purpose, program.binary);
  AddFlags(program, &command, flags);
  ATTNRL_RETURN_IF_ERROR(command.Parse(argc, argv, answered));
  if (*answered || !flags->config_file.empty() || !flags->sets.empty()) return absl::OkStatus();
  return InputError("--config", "is missing",
                    "the run's configuration file, or settings over the defaults with --set");
}

int Main(const Program& program, int argc, const char* const* argv,
         const std::function<absl::Status(const config::Config&, const Flags&)>& serve) {
  KeepFreedMemory();
  // Debian's Abseil looks for cycles of locks each time that one is taken. Tests keep that.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  Flags flags;
  bool answered = false;
  absl::Status status = ParseFlags(program, argc, argv, &flags, &answered);
  if (status.ok() && !answered) status = Run(flags, serve);
  if (!status.ok()) {
    std::cerr << "error: " << OneLine(std::string(status.message()), 2000) << std::endl;
  }
  return ExitCode(program, status);
}

}  // namespace attnrl::service
