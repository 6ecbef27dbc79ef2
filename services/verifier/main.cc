// SPDX-License-Identifier: Apache-2.0
// `attnrl-verifier`: grades responses for the branch scheduler. See README.md.
#include <CLI/CLI.hpp>
#include <iostream>

#include "common/base/status.h"
#include "common/rpc/shutdown.h"
#include "services/verifier/rpc/serve.h"

namespace {

int Fail(const std::string& message, int code) {
  std::cerr << "error: " << attnrl::OneLine(message, 2000) << std::endl;
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const attnrl::rpc::ShutdownSignal& shutdown = attnrl::rpc::ShutdownSignal::Install();
  attnrl::verifier::ServeOptions options;
  CLI::App app("Grades responses for the branch scheduler", "attnrl-verifier");
  app.set_version_flag("--version", "attnrl-verifier " ATTNRL_VERSION);
  app.add_option("--config", options.config_file, "The run's configuration")->required();
  app.add_option("--set", options.sets, "a.b=c: one key, over the file's value");
  app.add_option("--run-dir", options.run_dir, "Folder whose logs/ gets log and metrics address");
  app.add_option("--name", options.name, "Name in the logs");
  app.footer("Example:\n  attnrl-verifier --config run.yaml --set verifier.address=0.0.0.0:7001");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return Fail(std::string("command line: ") + error.what() + "; see --help", 2);
  }
  const absl::Status status = attnrl::verifier::Serve(options, shutdown);
  if (status.ok()) return 0;
  return Fail(std::string(status.message()), attnrl::IsInputError(status) ? 2 : 1);
}
