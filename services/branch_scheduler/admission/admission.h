// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/branch_scheduler/problem.h"
#include "services/branch_scheduler/types.h"

// What others send is checked here before anything else of the scheduler sees it. Every error is
// INVALID_ARGUMENT in one line: where it is wrong, what was found, what is allowed. Pure functions.
namespace attnrl::scheduler {

// Leases that one message may name: as many as a worker can hold.
inline constexpr size_t kMaxNamedLeases = 4096;
// Log-probs may exceed 0, and entropies be below it, by what rounding makes of a sure token.
inline constexpr float kRounding = 1e-4F;

// A result that AdmitResult has checked against its item; nothing else makes one.
class AdmittedResult {
 public:
  const ItemResult& operator*() const { return result_; }
  const ItemResult* operator->() const { return &result_; }

 private:
  explicit AdmittedResult(ItemResult result) : result_(std::move(result)) {}
  friend absl::StatusOr<AdmittedResult> AdmitResult(ItemResult, const WorkItem&, int64_t,
                                                    const TextTools&);

  ItemResult result_;
};

// `vocabulary`: the model's token ids are below it, those of padding included.
absl::StatusOr<AdmittedResult> AdmitResult(ItemResult result, const WorkItem& item,
                                           int64_t vocabulary, const TextTools& text);

// Everything else that a worker sends. A result is OK here, since it needs its item.
absl::Status CheckMessage(const WorkerMessage& message);

// What the learner says of a training step. Means may be NaN, which says that nothing applies.
absl::Status CheckStatistics(const TrainStatistics& statistics);

}  // namespace attnrl::scheduler
