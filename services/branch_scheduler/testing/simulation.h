// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/scheduler.h"
#include "services/verifier/testing/fake_verifier_client.h"

// Whole runs in one thread and no time, for tests: a real scheduler on a real database, with
// workers, a learner and a verifier that do nothing but what their contracts say. What a worker
// samples is a pure function of (batch, position, node, version), as with rollout.deterministic.
namespace attnrl::scheduler::testing {

struct SimulationOptions {
  pipeline::PipelineMode mode = pipeline::PipelineMode::kOverlapped;
  tree::Criterion criterion = tree::Criterion::kNone;
  uint32_t steps = 5;
  uint32_t problems = 3;
  uint32_t responses = 4;
  uint32_t workers = 2;
  uint32_t credits = 5;
  bool deterministic = false;
  uint32_t checkpoint_every = 2;
  uint32_t max_empty_batches = 10;
  // From this batch on the problems are those of a second data set (ThreeParts); 0: never.
  uint32_t other_data_from = 0;
  // All switches of adaptive sampling, on small batches.
  bool adaptive = false;
  // 0: every answer is right, so that no problem has an advantage.
  bool all_correct = false;
  // A batch is committed one round after the learner got it; the scheduler may die in between.
  bool training_takes_a_round = false;
};

// What a run of these sizes in this folder is told. Its texts are their own tokens, one a byte; a
// step ends with every line break; its data set has seven problems.
SchedulerOptions OptionsOf(const SimulationOptions& sizes, const std::string& folder);
TextTools ByteTools();
DataSet SevenProblems();
// Of a run that changes its data: these, five others ("o0" to "o4"), and these again.
DataSet ThreeParts();
// A verdict as the simulated verifier gives it: right is what ends with "=1.".
bool IsRight(std::string_view response);

// A worker that answers every lease at once, or keeps its results back while `silent`.
struct SimulatedWorker {
  std::string name = {};
  std::shared_ptr<WorkerSession> session = nullptr;
  std::map<LeaseId, WorkItem> leases = {};  // not answered yet
  std::map<LeaseId, ItemResult> unacknowledged = {};
  bool silent = false;
  bool absent = false;                          // doesn't connect
  std::map<LeaseId, AckVerdict> verdicts = {};  // by lease
};

class Simulation {
 public:
  // In a folder of its own, gone with the object; or in one that outlives it.
  explicit Simulation(const SimulationOptions& options);
  Simulation(std::string folder, const SimulationOptions& options);
  ~Simulation();

  // Starts the scheduler, or a new one after Kill.
  absl::Status Start();
  // The scheduler's process is gone; what it had not committed too.
  void Kill();
  // Before Start: the scheduler's own threads do its part, by the real clock; no Tick.
  void UseThreads() { threads_ = true; }
  // One round of everybody. False when the run has ended.
  bool Tick();
  // Ticks until the end; false when that takes more than `rounds`.
  bool RunToEnd(int rounds = 3000);
  // Kills the scheduler as soon as it has committed so many transactions in all, and starts another
  // one; 0: never.
  void KillAfter(uint64_t transactions) { kill_after_ = transactions; }
  bool killed() const { return killed_; }

  void RunWorker(SimulatedWorker& worker);
  void RunLearner();
  static ItemResult Sample(const WorkItem& item, LeaseId lease, bool all_correct);

  Scheduler& scheduler() { return *scheduler_; }
  SchedulerOptions& options() { return options_; }
  std::vector<SimulatedWorker>& workers() { return workers_; }
  FakeClock& clock() { return clock_; }
  verifier::FakeVerifierClient& verifier() { return *verifier_; }
  // What the learner was given, by batch.
  const std::map<uint32_t, TrainingBatch>& batches() const { return batches_; }
  std::vector<std::string> Lines(const std::string& file) const;
  // Of a batch, one a problem.
  std::vector<nlohmann::json> Trees(uint32_t batch) const;
  uint64_t transactions() const;
  const std::string& folder() const { return folder_; }

  // The learner's state.
  uint32_t version = 0;
  uint32_t checkpoint = 0;
  bool learner_absent = false;
  std::string last_reason;
  absl::Status learner_error;
  // Replaces the verifier's function.
  std::function<verifier::GradeResult(const verifier::GradeRequest&)> grade;

 private:
  Simulation(std::unique_ptr<TemporaryFolder> own, std::string folder,
             const SimulationOptions& options);
  bool KilledHere();
  bool TakeBatch();

  const std::unique_ptr<TemporaryFolder> own_;  // null where the folder was given
  const std::string folder_;
  SimulationOptions sizes_;
  SchedulerOptions options_;
  DataSet data_;
  TextTools text_;
  FakeClock clock_;
  std::unique_ptr<verifier::FakeVerifierClient> verifier_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<SimulatedWorker> workers_;
  std::map<uint32_t, TrainingBatch> batches_;
  std::optional<BatchCommit> commit_;  // trained, not acknowledged
  uint64_t transactions_before_ = 0;
  uint64_t kill_after_ = 0;
  bool killed_ = false;
  bool threads_ = false;
};

std::string Digest(uint32_t version);
// What the learner says and asks.
BatchCommit CommitOf(uint32_t batch, const std::string& digest, bool replayed = false);
BatchRequest RequestOf(uint32_t batch, uint32_t version, bool replay = false);

// What the learner of a run without any trouble is given, and how many transactions that takes.
std::map<uint32_t, TrainingBatch> Undisturbed(const SimulationOptions& options,
                                              uint64_t* transactions);

}  // namespace attnrl::scheduler::testing
