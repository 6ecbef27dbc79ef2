// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "common/config/config.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/train/preflight.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::string config;
  std::vector<std::string> sets;
  std::string explain;  // a key or section; empty: none
  bool reference = false;
};

// What the configuration may hold, without a file.
absl::Status Explain(const Options& options) {
  if (options.reference) {
    std::cout << config::ReferenceYaml() << std::flush;
    return absl::OkStatus();
  }
  ATTNRL_ASSIGN_OR_RETURN(const std::string help, config::KeyHelp(options.explain));
  std::cout << help << std::flush;
  return absl::OkStatus();
}

absl::Status Check(const Options& options) {
  if (options.reference || !options.explain.empty()) return Explain(options);
  if (options.config.empty() && options.sets.empty()) {
    return InputError("--config", "is missing",
                      "a configuration file, --explain or --reference is needed");
  }
  ATTNRL_ASSIGN_OR_RETURN(const config::Config config,
                          config::Load(options.config, options.sets, config::Environment()));
  const std::string binaries =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  ATTNRL_ASSIGN_OR_RETURN(const PreflightReport report,
                          CheckBeforeTraining(config, binaries, options.config));
  std::cout << (options.config.empty() ? "the configuration" : options.config)
            << " is ready to train\nmodel   " << report.model << "\ndata    " << report.data.summary
            << "\nfirst   " << report.data.first << "steps   " << report.steps << "\nmemory  about "
            << FormatBytes(report.memory.total_bytes) << " for all services\ndisk    "
            << DiskText(report.disk) << std::endl;
  PrintWarnings(config, report, ".");
  return absl::OkStatus();
}

}  // namespace

// `attnrl check`: everything that `attnrl train` checks before it starts, and nothing else.
void AddCheckCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("check", "Check a configuration without starting anything");
  auto options = std::make_shared<Options>();
  command.Add("--config", &options->config, "Configuration file (YAML)");
  command
      .Add("--set", &options->sets,
           "Set one configuration key, overriding the file: key=value; repeatable")
      .Repeatable();
  command.Add("--explain", &options->explain,
              "Explain a key or a section, for example run.seed or learner");
  command.AddSwitch("--reference", &options->reference, "Print every key with its default");
  command.Footer(
      "Examples:\n  attnrl check --config deploy/local/quickstart.yaml\n"
      "  attnrl check --explain algorithm.branching");
  command.WhenChosen([options, run] { *run = [options] { return Check(*options); }; });
}

}  // namespace attnrl::tools
