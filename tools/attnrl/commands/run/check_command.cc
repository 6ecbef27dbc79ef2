// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <iostream>
#include <memory>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/config/store_url.h"
#include "tools/attnrl/advice/advice.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/train/estimate/device_estimate.h"
#include "tools/attnrl/train/preflight.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::string config;
  std::vector<std::string> sets;
  std::string explain;  // a key or section; empty: none
  bool reference = false;
  bool plan = false;
  std::string device_memory;  // of each device; empty: not known
  std::string advise;         // directory of a run; empty: none
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

std::string NameOf(const Options& options) {
  return options.config.empty() ? "the configuration" : options.config;
}

// Where the run's rows will be.
std::string StoreText(const config::Scheduler& scheduler) {
  if (const auto url = config::ParseStoreUrl(scheduler.store); url.ok()) return url->Name();
  return scheduler.database.empty() ? "SQLite, scheduler.db in the run directory"
                                    : "SQLite, " + scheduler.database;
}

// From shapes alone: for devices that aren't here, and before the model and its data are.
absl::Status Plan(const Options& options, const config::Config& config) {
  int64_t device_bytes = 0;
  if (!options.device_memory.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(device_bytes, ParseSize(options.device_memory, "--device-memory"));
  }
  ATTNRL_ASSIGN_OR_RETURN(const PlanReport report,
                          PlanByShapes(config, device_bytes, options.config));
  std::cout << NameOf(options) << (device_bytes > 0 ? " fits by its shapes" : " by its shapes")
            << "\nmodel   " << report.model << "\nsteps   " << report.steps << "\ndisk    "
            << DiskText(report.disk) << "\n"
            << DeviceTable(report.devices, device_bytes) << std::flush;
  for (const std::string& warning : report.warnings) std::cerr << "warning: " << warning << "\n";
  WarnOfIgnoredVariables(config);
  return absl::OkStatus();
}

// From what a run has measured, without a configuration.
absl::Status Advise(const Options& options) {
  ATTNRL_ASSIGN_OR_RETURN(const Measured measured, ReadMeasured(options.advise));
  std::cout << AdviceText(options.advise, measured) << std::flush;
  return absl::OkStatus();
}

// --advise, --reference and --explain answer without a configuration: each stands alone.
absl::Status CheckAlone(const Options& options) {
  std::vector<std::string> given;
  const auto note = [&](bool is_given, const char* flag) {
    if (is_given) given.push_back(flag);
  };
  note(!options.advise.empty(), "--advise");
  note(options.reference, "--reference");
  note(!options.explain.empty(), "--explain");
  const bool one_alone = !given.empty();
  note(!options.config.empty(), "--config");
  note(!options.sets.empty(), "--set");
  note(options.plan, "--plan");
  note(!options.device_memory.empty(), "--device-memory");
  if (!one_alone || given.size() == 1) return absl::OkStatus();
  const std::string first = given.front();
  given.erase(given.begin());
  return InputError(first, "given with " + absl::StrJoin(given, ", "), first + " stands alone");
}

absl::Status Check(const Options& options) {
  ATTNRL_RETURN_IF_ERROR(CheckAlone(options));
  if (!options.advise.empty()) return Advise(options);
  if (options.reference || !options.explain.empty()) return Explain(options);
  if (options.config.empty() && options.sets.empty()) {
    return InputError("--config", "is missing",
                      "a configuration file, --explain, --reference or --advise is needed");
  }
  ATTNRL_ASSIGN_OR_RETURN(const config::Config config,
                          config::Load(options.config, options.sets, config::Environment()));
  if (options.plan) return Plan(options, config);
  if (!options.device_memory.empty()) {
    return InputError("--device-memory", "given without --plan", "both, or neither");
  }
  const std::string binaries =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  ATTNRL_ASSIGN_OR_RETURN(const PreflightReport report,
                          CheckBeforeTraining(config, binaries, options.config));
  std::cout << NameOf(options) << " is ready to train\nmodel   " << report.model << "\ndata    "
            << report.data.summary << "\nfirst   " << report.data.first << "steps   "
            << report.steps << "\nmemory  about " << FormatBytes(report.memory.total_bytes)
            << " for all services\ndisk    " << DiskText(report.disk) << "\nstore   "
            << StoreText(config.scheduler) << std::endl;
  PrintWarnings(config, report, ".");
  return absl::OkStatus();
}

}  // namespace

// `attnrl check`: everything that `attnrl train` checks before it starts, and nothing else; with
// --plan what can be said without a model, its data and its devices.
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
  command.AddSwitch("--plan", &options->plan,
                    "Read the shapes in config.json alone and show what would lie on which device");
  command
      .Add("--device-memory", &options->device_memory,
           "With --plan: refuse what a device of this memory has no room for, as 80GiB")
      .TypeName("SIZE");
  command.Add("--advise", &options->advise,
              "Say how to split devices between workers and learner, by what this run measured");
  command.Footer(
      "Examples:\n  attnrl check --config deploy/local/quickstart.yaml\n"
      "  attnrl check --config deploy/local/paper/attnrl-1.5b.yaml --plan --device-memory 80GiB\n"
      "  attnrl check --explain algorithm.branching\n"
      "  attnrl check --advise runs/quickstart");
  command.WhenChosen([options, run] { *run = [options] { return Check(*options); }; });
}

}  // namespace attnrl::tools
