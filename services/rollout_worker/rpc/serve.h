// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/config/config.h"
#include "common/rpc/shutdown.h"

namespace attnrl::rollout {

// What the command line of `attnrl-rollout-worker` says beside the configuration.
struct ServiceFlags {
  std::string name = "worker-0";  // unique in the run
  std::string run_dir = {};       // for logs/<name>.log and .metrics; empty: neither
  // Where grpc.health.v1 and, over TCP, weights for other workers are served. Empty: <name>.sock
  // beside the scheduler's socket, or a free port on loopback when the scheduler is reached over
  // TCP.
  std::string address = {};
};

// A whole rollout worker: checks configuration and model, starts the engine, serves health and
// /metrics, and works for the scheduler until `shutdown` or the scheduler ends it. Blocks. OK after
// an orderly end, InputError for what the user can fix, the scheduler's refusal otherwise. Threads:
// the caller's (work loop), engine, weights, stream reader, signal waiter, and gRPC's.
absl::Status RunService(const config::Config& config, const ServiceFlags& flags,
                        rpc::ShutdownSignal& shutdown);

}  // namespace attnrl::rollout
