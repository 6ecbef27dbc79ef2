// SPDX-License-Identifier: Apache-2.0
// `attnrl-branch-scheduler`: owns a run: hands out sampling, has it graded, makes training batches.
// See README.md.
#include <CLI/CLI.hpp>
#include <iostream>

#include "common/base/status.h"
#include "common/rpc/shutdown.h"
#include "services/branch_scheduler/rpc/serve.h"

namespace {

// `attnrl train` tells these apart: bad input and a full disk end a run, anything else is tried
// again.
int ExitCode(const absl::Status& status) {
  if (attnrl::IsInputError(status)) return 2;
  return absl::IsResourceExhausted(status) ? 3 : 1;
}

int Fail(const std::string& message, int code) {
  std::cerr << "error: " << attnrl::OneLine(message, 2000) << std::endl;
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const attnrl::rpc::ShutdownSignal& shutdown = attnrl::rpc::ShutdownSignal::Install();
  attnrl::scheduler::ServeOptions options;
  CLI::App app("Owns a run: hands out sampling, has it graded, makes training batches",
               "attnrl-branch-scheduler");
  app.set_version_flag("--version", "attnrl-branch-scheduler " ATTNRL_VERSION);
  app.add_option("--config", options.config_file, "The run's configuration")->required();
  app.add_option("--set", options.sets, "a.b=c: one key, over the file's value");
  app.add_option("--run-dir", options.run_dir, "Folder of the run: records, trees/, logs/")
      ->required();
  app.add_option("--name", options.name, "Name in the logs");
  app.footer("Example:\n  attnrl-branch-scheduler --config run.yaml --run-dir runs/a");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return Fail(std::string("command line: ") + error.what() + "; see --help", 2);
  }
  const absl::Status status = attnrl::scheduler::Serve(options, shutdown);
  return status.ok() ? 0 : Fail(std::string(status.message()), ExitCode(status));
}
