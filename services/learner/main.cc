// SPDX-License-Identifier: Apache-2.0
// `attnrl-learner`: trains the policy on the scheduler's batches, serves its weights. See
// README.md.
#include "common/rpc/shutdown.h"
#include "common/service/service_main.h"
#include "services/learner/rpc/serve.h"

int main(int argc, char** argv) {
  const attnrl::rpc::ShutdownSignal& shutdown = attnrl::rpc::ShutdownSignal::Install();
  return attnrl::service::Main(
      {.binary = "attnrl-learner",
       .version = ATTNRL_VERSION,
       .purpose = "Trains the policy and serves its weights",
       .example = "attnrl-learner --config run.yaml --run-dir runs/a",
       .name = "learner",
       .run_dir = "Run directory, for checkpoints/, weights/ and logs/",
       .needs_run_dir = true,
       .keeps_files = true},
      argc, argv,
      [&shutdown](const attnrl::config::Config& config, const attnrl::service::Flags& flags) {
        return attnrl::learner::Serve(config, flags, shutdown);
      });
}
