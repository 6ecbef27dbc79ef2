// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "services/branch_scheduler/types.h"
#include "tests/simulation/memory_store.h"

namespace attnrl::scheduler::simulation {

// What everybody outside of the scheduler has seen of a run, in the order of time, and whether that
// keeps the promises of tests/README.md. Knows nothing of how the scheduler works. Samples carry
// the number of the result that they come from in their log-probs, so that a batch shows whose work
// it is made of. One thread.
class History {
 public:
  // `disk` outlives this.
  explicit History(const Disk* disk) : disk_(*disk) {}

  // A worker has made a result; its number, from 1.
  uint32_t Sampled(LeaseId lease, ItemId item);
  // The scheduler has told a worker.
  void Told(const std::string& worker, const SchedulerMessage& message);
  // The learner's calls as the scheduler answered them.
  void Registered(const std::string& learner, uint64_t epoch);
  void Delivered(uint64_t learner_epoch, const TrainingBatch& batch);
  void Committed(const BatchCommit& commit);
  // A scheduler has started.
  void Started(const RunStatus& status);

  // Another promise is broken than those that a history shows.
  void Broken(const std::string& promise, const std::string& how);

  // OK, or the first promise that was broken, and how.
  const absl::Status& verdict() const { return verdict_; }
  uint64_t fenced() const { return fenced_; }  // late writes that were refused, since Started
  uint32_t committed() const { return committed_; }
  const std::map<uint32_t, TrainingBatch>& batches() const { return batches_; }

 private:
  struct Result {
    LeaseId lease = {};
    ItemId item = {};
  };

  void Acknowledged(const std::string& worker, const Ack& ack);
  void CheckSample(uint32_t batch, const TrainingSample& sample);
  // The tokens of a stretch of a sample come from one result of this item.
  void CheckTokens(const TrainingSample& sample, size_t begin, size_t end, ItemId item);

  const Disk& disk_;
  absl::Status verdict_;
  std::map<uint32_t, Result> results_;  // by number
  std::map<LeaseId, ItemId> leases_;    // all that were ever handed out
  std::map<ItemId, LeaseId> holders_;   // of those that may write now
  std::map<ItemId, LeaseId> accepted_;  // acknowledged as durable
  std::map<ItemId, LeaseId> trained_;   // seen in a batch
  std::map<uint32_t, TrainingBatch> batches_;
  std::string learner_;
  uint64_t learner_epoch_ = 0;
  uint64_t fenced_ = 0;
  uint32_t committed_ = 0;
};

}  // namespace attnrl::scheduler::simulation
