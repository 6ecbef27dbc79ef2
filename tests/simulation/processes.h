// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/types.h"
#include "services/branch_scheduler/work/worker_session.h"
#include "tests/simulation/world.h"

namespace attnrl::scheduler::simulation {

// A process that may stand still: what happens to it meanwhile it notices afterwards.
class Process : public std::enable_shared_from_this<Process> {
 public:
  Process(World* world, std::string name) : world_(*world), name_(std::move(name)) {}
  virtual ~Process() = default;

  const std::string& name() const { return name_; }
  bool running() const { return !dead_ && !frozen_; }
  bool dead() const { return dead_; }
  void Freeze(absl::Duration time);
  void Kill() { dead_ = true; }

 protected:
  // Not before it goes on, and never once it is dead.
  void Later(absl::Duration delay, std::function<void()> what);

  World& world_;
  const std::string name_;

 private:
  bool dead_ = false;
  bool frozen_ = false;
  std::vector<std::function<void()>> missed_;
};

// As services/rollout_worker/work: leases over a stream, results that it keeps until they are
// acknowledged, and another stream when one breaks.
class Worker final : public Process {
 public:
  using Process::Process;

  void Start();
  // What the scheduler has put into the newest stream is on its way; the stream's end too.
  void Collect();
  // The connection is lost: what is under way may arrive or not, and each side notices by itself.
  void Break();
  // Back with all that it has.
  void GiveBack();
  // As one that is told to end: nothing is leased to it any more, then its side is closed.
  void Leave();
  bool streams_open() const;

 private:
  struct Stream;

  void Connect();
  void Send(WorkerMessage message);
  void Hear(const std::shared_ptr<Stream>& stream, const SchedulerMessage& message);
  void Ended(const std::shared_ptr<Stream>& stream, const absl::Status& status);
  void Sample(LeaseId lease);
  void RenewAll();

  std::shared_ptr<Stream> stream_;                // its own view
  std::vector<std::shared_ptr<Stream>> streams_;  // all that the scheduler may still write to
  std::map<LeaseId, WorkItem> leases_;
  std::map<LeaseId, ItemResult> unacknowledged_;
};

// As services/learner/loop.h, over calls whose requests and replies may be lost or come twice.
class Learner final : public Process {
 public:
  using Process::Process;

  void Start();
  bool finished() const { return finished_; }

 private:
  // What the call answers; nullopt: nothing yet.
  using Answer = std::function<void()>;

  // Makes the call until it is answered. `serve` runs at the scheduler, maybe more than once, and
  // returns what its answer does here.
  void Call(const std::string& what, std::function<Answer(Scheduler&)> serve);
  void Attempt(uint64_t call, const std::string& what,
               const std::function<Answer(Scheduler&)>& serve);
  void Register();
  void Ask();
  void Train(const TrainingBatch& batch);
  void Commit(const BatchCommit& commit);
  void End(const std::string& what, const absl::Status& status);

  uint64_t epoch_ = 0;
  uint64_t call_ = 0;  // the one that waits for its answer
  uint32_t next_ = 0;  // it holds W(next_)
  bool finished_ = false;
};

}  // namespace attnrl::scheduler::simulation
