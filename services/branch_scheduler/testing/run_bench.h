// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "common/base/clock.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/run/run.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {

// A Run on a real database, without leases, threads or time: the test brings it fact by fact, each
// in a transaction of its own. Responses and verdicts are those of a Simulation.
class RunBench {
 public:
  explicit RunBench(const SimulationOptions& sizes);

  // Opens the run, or opens it again as the next process would.
  absl::Status Open();
  // Ends the process: what the transactions have committed is left.
  void Close();

  // The work in a transaction, undone where it fails.
  absl::Status InTransaction(const std::function<absl::Status()>& work);
  absl::Status Announce(const BatchRequest& request);
  // As the learner that holds W(version).
  absl::Status AnnounceVersion(uint32_t version, uint32_t checkpoint = 0);
  absl::StatusOr<CommitReply> Commit(const BatchCommit& commit);
  // Samples the open item of the lowest number; false where there is none.
  bool SampleOne();
  bool GradeOne();
  // Samples and grades until nothing is open.
  void Work();
  // Announces, works and commits until so many batches are trained.
  void TrainTo(uint32_t batches);

  Run& run() { return *run_; }
  Store& store() { return *store_; }
  ItemResult ResultOf(ItemId item) const;
  std::string reason;  // of the last Batch that wasn't there
  std::optional<TrainingBatch> Batch(uint32_t number);

  SchedulerOptions options;
  DataSet data = SevenProblems();
  TextTools text = ByteTools();
  FakeClock clock;
  // What the run has said may be done and what isn't done yet, with the version it needs.
  std::map<ItemId, uint32_t> open;
  std::map<ItemId, GradeTask> ungraded;
  // Every so many steps; 0: none.
  uint32_t checkpoint_every = 2;
  uint32_t checkpoint = 0;

 private:
  void Collect();

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};
  const bool all_correct_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Run> run_;
};

}  // namespace attnrl::scheduler::testing
