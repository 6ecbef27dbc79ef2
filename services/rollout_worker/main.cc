// SPDX-License-Identifier: Apache-2.0
// `attnrl-rollout-worker`: samples responses for a run. See README.md.
#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/config.h"
#include "common/observe/log.h"
#include "common/rpc/shutdown.h"
#include "services/rollout_worker/service.h"

namespace {

attnrl::rollout::ServiceFlags flags;
std::string config_file;
std::vector<std::string> sets;

absl::Status Run() {
  attnrl::rpc::ShutdownSignal& shutdown = attnrl::rpc::ShutdownSignal::Install();
  ATTNRL_ASSIGN_OR_RETURN(const attnrl::config::Config config,
                          attnrl::config::Load(config_file, sets, attnrl::config::Environment()));
  ATTNRL_ASSIGN_OR_RETURN(const auto level, attnrl::observe::ParseLevel(config.observe.log_level));
  const std::string folder = flags.run_dir + "/logs/";
  ATTNRL_RETURN_IF_ERROR(attnrl::observe::StartLog(
      {.service = flags.name,
       .file = flags.run_dir.empty() ? "" : folder + flags.name + ".log",
       .level = level,
       .console = flags.run_dir.empty() ? level : attnrl::observe::Level::kError}));
  return attnrl::rollout::RunService(config, flags, shutdown);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Samples responses with one copy of the policy", "attnrl-rollout-worker");
  app.set_version_flag("--version", "attnrl-rollout-worker " ATTNRL_VERSION);
  app.add_option("--config", config_file, "Configuration of the run (YAML)")->required();
  app.add_option("--set", sets, "a.b=c, wins over the file")->take_all();
  app.add_option("--run-dir", flags.run_dir, "Run directory, for logs");
  app.add_option("--name", flags.name, "Name, unique in the run")->capture_default_str();
  app.add_option("--address", flags.address, "Where health is served");
  app.footer("Example: attnrl-rollout-worker --config run.yaml --name worker-1");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << "error: command line: " << error.what() << "; see --help" << std::endl;
    return 2;
  }
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::cerr << "error: " << attnrl::OneLine(std::string(status.message()), 2000) << std::endl;
  return attnrl::IsInputError(status) ? 2 : 1;
}
