// SPDX-License-Identifier: Apache-2.0
// `attnrl-rollout-worker`: samples responses for a run. See README.md.
#include "common/rpc/shutdown.h"
#include "common/service/service_main.h"
#include "services/rollout_worker/rpc/serve.h"

int main(int argc, char** argv) {
  attnrl::rpc::ShutdownSignal& shutdown = attnrl::rpc::ShutdownSignal::Install();
  return attnrl::service::Main(
      {.binary = "attnrl-rollout-worker",
       .version = ATTNRL_VERSION,
       .purpose = "Samples responses with one copy of the policy",
       .example = "attnrl-rollout-worker --config run.yaml --name worker-1",
       .name = "worker-0",
       .run_dir = "Run directory; the log and the metrics address go into its logs/",
       .has_address = true},
      argc, argv,
      [&shutdown](const attnrl::config::Config& config, const attnrl::service::Flags& flags) {
        return attnrl::rollout::RunService(
            config, {.name = flags.name, .run_dir = flags.run_dir, .address = flags.address},
            shutdown);
      });
}
