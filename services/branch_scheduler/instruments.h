// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/leases.h"
#include "services/branch_scheduler/run.h"

namespace attnrl::scheduler {

// Brings the process's metrics (common/observe/metric_names.h) up to date with the scheduler's own
// counters. Not thread-safe.
class Instruments {
 public:
  // At the end of every round; `now` is monotonic.
  void Update(const LeaseTable& leases, const Run& run, absl::Duration now);
  // A transaction was committed, or failed.
  static void Commit(const absl::Status& status, absl::Duration took);

 private:
  void UpdateTrees(const Run::TreeFacts& trees);

  LeaseTable::Counters leases_;
  Run::TreeFacts trees_;
  uint64_t ungradable_ = 0;
  uint32_t committed_ = 0;
  bool counting_ = false;         // what was committed before this process isn't counted
  absl::Duration pending_since_;  // since then there was always something runnable
};

}  // namespace attnrl::scheduler
