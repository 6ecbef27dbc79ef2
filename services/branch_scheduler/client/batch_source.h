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

// Where the learner gets its batches and reports them done (rpcs RegisterLearner, NextBatch,
// CommitBatch). Called from one thread; Cancel from any. All calls are idempotent, so a scheduler
// that is away or busy (UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, CANCELLED by it) is
// waited for with jittered back-off, until Cancel. Memory: one batch.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  // First of all: this process, `learner` by name, is the learner from now on, and whatever the
  // calls below say, it says. They fail with ABORTED, naming the other, once another learner has
  // registered. The name is unique to the process and has 1 to 256 bytes. Blocks until the
  // scheduler answers, which it does not while another learner is at work; `waiting` as below.
  virtual absl::Status Register(const std::string& learner,
                                const std::function<void(const std::string&)>& waiting) = 0;

  // The batch asked for, checked to be whole. Blocks while it is sampled, however long that takes
  // (zero workers is a legal state); `waiting` (may be empty) is told every few seconds what is
  // missing. OUT_OF_RANGE: the run has ended. FAILED_PRECONDITION: the learner's weights are not
  // those that the schedule needs. INVALID_ARGUMENT: the batch is forgotten. CANCELLED after
  // Cancel.
  virtual absl::StatusOr<TrainingBatch> NextBatch(
      const BatchRequest& request, const std::function<void(const std::string&)>& waiting) = 0;

  // Batch b is trained and W(b+1) durable. FAILED_PRECONDITION: another digest was committed.
  // Blocks until the scheduler answers; `waiting` as above. CANCELLED after Cancel.
  virtual absl::StatusOr<CommitReply> CommitBatch(
      const BatchCommit& commit, const std::function<void(const std::string&)>& waiting) = 0;

  // Ends every call, now and later. For shutdown.
  virtual void Cancel() = 0;
};

// `place` is what this process holds for itself alone (RegisterLearner of the proto). Once it has
// registered, a thread shows every few seconds that it lives.
absl::StatusOr<std::unique_ptr<BatchSource>> ConnectBatchSource(const std::string& address,
                                                                const rpc::Security& security = {},
                                                                const std::string& place = "");

}  // namespace attnrl::scheduler
