// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/security/security.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// Where the learner gets its batches and reports them done (rpcs NextBatch, CommitBatch). Called
// from one thread; Cancel from any. Both calls are idempotent, so a scheduler that is away or busy
// (UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, CANCELLED by it) is waited for with jittered
// back-off, until Cancel. Memory: one batch.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  // The batch asked for, checked to be whole. Blocks while it is sampled, however long that takes
  // (zero workers is a legal state); `waiting` (may be empty) is told every few seconds what is
  // missing. OUT_OF_RANGE: the run has ended. FAILED_PRECONDITION: the learner's weights are not
  // those that the schedule needs, or the batch was forgotten. CANCELLED after Cancel.
  virtual absl::StatusOr<TrainingBatch> NextBatch(
      const BatchRequest& request, const std::function<void(const std::string&)>& waiting) = 0;

  // Batch b is trained and W(b+1) durable. FAILED_PRECONDITION: another digest was committed.
  // Blocks until the scheduler answers; `waiting` as above. CANCELLED after Cancel.
  virtual absl::StatusOr<CommitReply> CommitBatch(
      const BatchCommit& commit, const std::function<void(const std::string&)>& waiting) = 0;

  // Ends every call, now and later. For shutdown.
  virtual void Cancel() = 0;
};

absl::StatusOr<std::unique_ptr<BatchSource>> ConnectBatchSource(const std::string& address,
                                                                const rpc::Security& security = {});

}  // namespace attnrl::scheduler
