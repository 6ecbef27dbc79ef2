// SPDX-License-Identifier: Apache-2.0
// `attnrl-verifier`: grades responses for the branch scheduler. See README.md.
#include "common/rpc/shutdown.h"
#include "common/service/service_main.h"
#include "services/verifier/rpc/serve.h"

int main(int argc, char** argv) {
  const attnrl::rpc::ShutdownSignal& shutdown = attnrl::rpc::ShutdownSignal::Install();
  return attnrl::service::Main(
      {.binary = "attnrl-verifier",
       .version = ATTNRL_VERSION,
       .purpose = "Grades responses for the branch scheduler",
       .example = "attnrl-verifier --config run.yaml --set verifier.address=0.0.0.0:7001",
       .name = "verifier",
       .run_dir = "Run directory; the log and the metrics address go into its logs/"},
      argc, argv,
      [&shutdown](const attnrl::config::Config& config, const attnrl::service::Flags& flags) {
        return attnrl::verifier::Serve(config, flags, shutdown);
      });
}
