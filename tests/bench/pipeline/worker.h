// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "services/branch_scheduler/types.h"
#include "services/rollout_worker/work/reserve.h"
#include "tests/bench/pipeline/link.h"

namespace attnrl::bench {

class World;

// A worker as its contract says: samples side by side in its slots, older versions first, what
// doesn't fit waits in the order of its leases; grants credits as rollout workers do.
class Worker {
 public:
  Worker(World* world, std::string name);
  absl::Status Connect();

 private:
  struct Open {
    scheduler::WorkItem item;
    scheduler::ItemResult result;
    size_t left = 0;
  };
  void Hear(const scheduler::SchedulerMessage& message);
  void Fill();
  void Finish(scheduler::LeaseId lease, absl::Duration took);
  uint32_t WantedSamples();
  void UpdateCredits();
  void Send(scheduler::WorkerMessage message);

  World& world_;
  const std::string name_;
  std::unique_ptr<Link> link_;
  std::map<scheduler::LeaseId, Open> open_;
  // By version: the lease, and which of its samples.
  std::map<uint32_t, std::deque<std::pair<scheduler::LeaseId, size_t>>> waiting_;
  uint32_t running_ = 0, samples_ = 0, credits_ = 0, samples_a_lease_ = 1;
  rollout::Reserve reserve_;
  std::optional<absl::Duration> sent_;  // the oldest result without an answer
};

}  // namespace attnrl::bench
