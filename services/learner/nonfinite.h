// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "services/branch_scheduler/types.h"
#include "services/learner/train/trainer.h"

namespace attnrl::learner {

// What becomes of optimizer steps whose loss or gradient was not finite: their batches are kept in
// a folder (`attnrl learn-bench --input` reads them), the first few of a run; and a learner that
// takes no other steps ends. Used by the loop's thread alone.
class NonfiniteGuard {
 public:
  // Without a folder nothing is kept.
  explicit NonfiniteGuard(std::string folder, int64_t most_batches)
      : folder_(std::move(folder)), most_batches_(most_batches) {}

  // After every batch, before it is published. `counters` are those of the run so far.
  // InvalidArgument where the last `most_batches` batches that trained, or all of the run at its
  // end, had steps that were not finite and no others: a learner that started again would only
  // come back here.
  absl::Status Check(const scheduler::TrainingBatch& batch,
                     const scheduler::TrainStatistics& statistics,
                     const TrainerCounters& counters) const;

 private:
  // Says what was skipped, and where its batch is.
  void Keep(const scheduler::TrainingBatch& batch, uint32_t skipped) const;

  const std::string folder_;
  const int64_t most_batches_;
};

}  // namespace attnrl::learner
