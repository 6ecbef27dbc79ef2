// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/branch_scheduler/client/batch_source.h"

namespace attnrl::scheduler {

// Hands out batches that the test made and remembers what was committed. OUT_OF_RANGE after the
// last one (`last` set), otherwise waits until the batch is added. Thread-safe.
class FakeBatchSource final : public BatchSource {
 public:
  void Add(TrainingBatch batch);
  std::vector<BatchRequest> requests() const;
  std::vector<BatchCommit> commits() const;
  // Batches before `number` were committed by an earlier learner: their weights aren't needed.
  void CommittedBefore(uint32_t number);
  // Who registered, in order.
  std::vector<std::string> learners() const;
  // The next call of Register is answered only once its `waiting` has been told so.
  void KeepWaitingOnce();
  // The next call of NextBatch or CommitBatch fails with this.
  void FailNext(absl::Status status);

  absl::Status Register(const std::string& learner,
                        const std::function<void(const std::string&)>& waiting) override;
  absl::StatusOr<TrainingBatch> NextBatch(
      const BatchRequest& request, const std::function<void(const std::string&)>& waiting) override;
  absl::StatusOr<CommitReply> CommitBatch(
      const BatchCommit& commit, const std::function<void(const std::string&)>& waiting) override;
  void Cancel() override;

 private:
  mutable absl::Mutex mutex_;
  std::map<uint32_t, TrainingBatch> batches_ ABSL_GUARDED_BY(mutex_);
  std::vector<BatchRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<BatchCommit> commits_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> learners_ ABSL_GUARDED_BY(mutex_);
  bool keep_waiting_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t committed_before_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status fail_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnrl::scheduler
