// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "services/branch_scheduler/run/run.h"
#include "services/branch_scheduler/work/leases.h"

namespace attnrl::scheduler {

// Brings the process's metrics (common/observe/metric_names.h) up to date with the scheduler's own
// counters. Not thread-safe.
class Instruments {
 public:
  Instruments();
  // At the end of every round; `now` is monotonic.
  void Update(const LeaseTable& leases, const Run& run, absl::Duration now);
  // A transaction was committed, or failed; `folder` is where its file lies, or else where the
  // records do.
  static void Commit(absl::Duration took, const std::string& folder);

 private:
  void UpdateTrees(const Run::TreeFacts& trees);

  LeaseTable::Counters leases_;
  Run::TreeFacts trees_;
  uint64_t ungradable_ = 0;
  uint32_t committed_ = 0;
  bool counting_ = false;            // what was committed before this process isn't counted
  std::optional<ItemId> next_item_;  // to be handed out, since pending_since_
  absl::Duration pending_since_;
};

}  // namespace attnrl::scheduler
