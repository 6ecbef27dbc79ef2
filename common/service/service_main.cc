// SPDX-License-Identifier: Apache-2.0
#include "common/service/service_main.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/storage/files.h"

namespace attnrl::service {
namespace {

constexpr int kBadInput = 2;
constexpr int kDiskFull = 3;

std::unique_ptr<CLI::App> MakeApp(const Program& program, Flags* flags) {
  auto app = std::make_unique<CLI::App>(program.purpose, program.binary);
  app->set_version_flag("--version", absl::StrCat(program.binary, " ", program.version));
  app->add_option("--config", flags->config_file, "Configuration file of the run (YAML)")
      ->required();
  app->add_option("--set", flags->sets,
                  "Set one configuration key, overriding the file: key=value; repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app->add_option("--run-dir", flags->run_dir, program.run_dir)->required(program.needs_run_dir);
  app->add_option("--name", flags->name, "Name of this process in the logs, unique in the run")
      ->capture_default_str();
  if (program.has_address) {
    app->add_option("--address", flags->address,
                    "Address for health checks: unix:/path or host:port");
  }
  app->footer(absl::StrCat("Example:\n  ", program.example));
  return app;
}

absl::Status Explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> extra = app.remaining(true);
  // A misspelt flag also leaves the right one missing: the misspelling is the better message.
  if (extra.empty()) return InputError("command line", error.what(), "see --help");
  const std::string& word = extra.front();
  if (word.empty() || word[0] != '-') {
    return InputError(word, "unexpected argument", "only flags are allowed, see --help");
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  const std::string flag = word.substr(0, word.find('='));
  const std::string near = Nearest(flag, known);
  return InputError(flag, "no such flag",
                    absl::StrCat(near.empty() ? "" : absl::StrCat("did you mean ", near, "? "),
                                 "flags are ", absl::StrJoin(known, ", ")));
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

absl::Status Run(const Flags& flags,
                 const std::function<absl::Status(const config::Config&, const Flags&)>& serve) {
  ATTNRL_ASSIGN_OR_RETURN(const config::Config config,
                          config::Load(flags.config_file, flags.sets, config::Environment()));
  ATTNRL_RETURN_IF_ERROR(StartLog(config, flags));
  for (const std::string& variable : config.ignored_variables) {
    observe::LogWarning("environment variable ignored: it names no key", {{"variable", variable}});
  }
  const absl::Status status = serve(config, flags);
  // Without a file Main's line is all there should be.
  if (!status.ok() && !flags.run_dir.empty()) {
    observe::LogError("the service ends", {{"status", status}});
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
  *answered = false;
  flags->name = program.name;
  const std::unique_ptr<CLI::App> app = MakeApp(program, flags);
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help and --version
    *answered = true;
    app->exit(success, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    return Explain(*app, error);
  }
  // --run-dir "$UNSET": files would go to the root.
  if (!*answered && program.needs_run_dir && flags->run_dir.empty()) {
    return InputError("--run-dir", "is empty", "a folder is needed");
  }
  return absl::OkStatus();
}

int Main(const Program& program, int argc, const char* const* argv,
         const std::function<absl::Status(const config::Config&, const Flags&)>& serve) {
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
