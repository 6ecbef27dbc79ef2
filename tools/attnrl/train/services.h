// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "tools/attnrl/train/estimate/memory_estimate.h"
#include "tools/attnrl/train/processes/process.h"

namespace attnrl::tools {

// One child of a run and what the console says about it.
struct ServicePlan {
  ProcessSpec process;
  std::string address;  // where it answers health checks; empty: nowhere
  std::string does;     // in a few words
  int64_t threads = 1;
  int64_t memory_bytes = 0;  // estimated
};

// Where the pieces of a run are; absolute paths.
struct RunPaths {
  std::string run_directory;
  std::string socket_folder;
  std::string binary_folder;  // of this binary: the services lie beside it
  int rank_port = 0;          // of this machine, where the learner's ranks meet; 0: there is one
  std::vector<std::string> gpus = {};  // of this machine, as CUDA_VISIBLE_DEVICES names them
};

// "unix:<folder>/scheduler.sock" for "scheduler", "verifier", "learner", and for a worker's name.
std::string SocketAddress(const std::string& socket_folder, const std::string& section);

// A TCP port of this machine that nobody listens on now; UNAVAILABLE where there is none.
absl::StatusOr<int> FreePort();

// Names of the `count` GPUs that this process sees, for CUDA_VISIBLE_DEVICES of its children: those
// of its own, or else numbers.
std::vector<std::string> VisibleGpus(int count);

// Threads of each worker on a machine with so many processors: `rollout.threads`, or where that is
// 0 an equal part of what the learner's ranks leave of them, at least 1. Still 0 where no worker is
// started here: those that join take what their own machines have.
int64_t ThreadsOfWorker(const config::Config& config, int processors);

// The children of a run in the order in which they are started: verifier, learner, its other ranks
// learner-rank-1 .. learner-rank-(r-1), branch-scheduler, worker-0 .. worker-(n-1). Each reads
// RUN_DIR/config.yaml; the sockets of this start come as --set. Who computes on a GPU sees that one
// alone, so that nothing of it can end up on another: "cuda:N" says which, with "cuda" the
// learner's ranks and then the workers take one after the other, from the first again where they
// are fewer. `rollout.threads` is more than 0 if
// there are workers.
std::vector<ServicePlan> PlanServices(const config::Config& config, const MemoryEstimate& memory,
                                      const RunPaths& paths);

}  // namespace attnrl::tools
