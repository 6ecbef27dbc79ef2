// SPDX-License-Identifier: Apache-2.0
// `attnrl-branch-scheduler`: owns a run: hands out sampling, has it graded, makes batches. See
// README.md.
#include "common/rpc/shutdown.h"
#include "common/service/service_main.h"
#include "services/branch_scheduler/rpc/serve.h"

int main(int argc, char** argv) {
  const attnrl::rpc::ShutdownSignal& shutdown = attnrl::rpc::ShutdownSignal::Install();
  return attnrl::service::Main(
      {.binary = "attnrl-branch-scheduler",
       .version = ATTNRL_VERSION,
       .purpose = "Owns a run: hands out work, has responses graded, makes training batches",
       .example = "attnrl-branch-scheduler --config run.yaml --run-dir runs/a",
       .name = "branch-scheduler",
       .run_dir = "Run directory, for the records, trees/ and logs/",
       .needs_run_dir = true,
       .keeps_files = true},
      argc, argv,
      [&shutdown](const attnrl::config::Config& config, const attnrl::service::Flags& flags) {
        return attnrl::scheduler::Serve(config, flags, shutdown);
      });
}
