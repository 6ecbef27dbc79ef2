// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/philox.h"
#include "services/branch_scheduler/scheduler.h"
#include "services/branch_scheduler/testing/simulation.h"
#include "services/verifier/testing/fake_verifier_client.h"
#include "tests/simulation/history.h"
#include "tests/simulation/memory_store.h"

namespace attnrl::scheduler::simulation {

struct WorldOptions {
  uint64_t seed = 0;
  bool faults = true;
  Broken broken = Broken::kNothing;
  bool tells = false;  // prints what happens
};

class Worker;
class Learner;

// A run in a world that is nothing but a function of its seed: a real scheduler on a disk in
// memory, workers, learners and a verifier, and a network that delays, loses and repeats what they
// say. Everybody may be killed, stand still, be cut off or be replaced at any time; after some
// minutes nothing fails any more, and the run has to end. One thread, no time but its own.
class World {
 public:
  // `folder`: an empty one, for the record files.
  World(std::string folder, const WorldOptions& options);
  ~World();

  // The whole run: OK, or the promise that was broken first.
  absl::Status Run();
  const History& history() const { return history_; }
  // How often each fault has happened.
  const std::map<std::string, int>& faults() const { return faults_; }

  // ---- for workers and learners

  void After(absl::Duration delay, std::function<void()> what);
  absl::Duration now() const { return clock_.Monotonic(); }
  uint64_t Below(uint64_t bound) { return random_.Below(bound); }
  // Once in so many times, while things fail.
  bool Chance(uint64_t in) { return options_.faults && now() < calm_ && random_.Below(in) == 0; }
  // Seconds, evenly between these.
  absl::Duration Between(double least, double most);
  absl::Duration Latency();
  // The process that runs now; null while there is none. `life` is its number.
  Scheduler* scheduler() { return scheduler_.get(); }
  uint64_t life() const { return life_; }
  // Behind every call of the scheduler: its messages go out, or it has died in the call.
  void Settle();
  // Of streams that are to be looked at by Settle.
  void Watch(std::shared_ptr<Worker> worker);
  History& history() { return history_; }
  // What the learner's volume holds: the newest version and checkpoint.
  uint32_t published = 0, checkpoint = 0;
  void LearnerEnded();
  void Tell(const std::string& what);

 private:
  void StartScheduler();
  void KillScheduler();
  void Tick();
  void Fail();
  void Resume();
  void Fault(const std::string& name, std::function<void()> what);
  std::shared_ptr<Worker> AnyWorker();
  void AddWorker(const std::string& name);
  void AddLearner();
  // Whoever of them is the learner.
  bool Finished() const;
  void CheckEnd();

  const std::string folder_;
  const WorldOptions options_;
  RandomStream random_;
  FakeClock clock_;
  const absl::Duration calm_;  // from here on nothing fails
  DataSet data_;
  TextTools text_;
  verifier::FakeVerifierClient verifier_;
  Disk disk_;
  History history_;
  std::unique_ptr<Scheduler> scheduler_;
  uint64_t life_ = 0;
  absl::Duration stands_until_;  // its loop makes no round
  std::multimap<absl::Duration, std::function<void()>> events_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::vector<std::shared_ptr<Worker>> watched_;
  std::vector<std::shared_ptr<Learner>> learners_;  // also those that have ended
  std::map<std::string, int> faults_;
};

}  // namespace attnrl::scheduler::simulation
