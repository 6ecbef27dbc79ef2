// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler::simulation {

// The rows of a run's database, as services/branch_scheduler/store/README.md has them.
struct Rows {
  std::map<std::string, std::string> facts;
  std::map<uint32_t, uint32_t> segments;
  std::map<uint32_t, Store::BatchRow> batches;
  std::map<ItemId, Store::ResultRow> results;  // with their grades
  std::map<uint32_t, std::string> versions;
  std::map<uint32_t, Store::CommitRow> commits;
  std::set<uint32_t> checkpoints;
  std::map<int64_t, std::pair<std::string, std::string>> lines;  // id -> file and line
  std::map<std::string, int64_t> settled;
  int64_t next_line = 1;
};

// What is wrong with a disk, to see whether the checker notices.
enum class Broken {
  kNothing,
  kForgetsSchedulerEpoch,  // no lease number is unique any more
  kForgetsLearnerEpoch,    // an older learner counts as the newest again
  kForgetsTransactions,    // says that a transaction is durable before it is
};

// What outlives the processes that write to it, and the place where they are killed.
struct Disk {
  Rows durable;
  Broken broken = Broken::kNothing;
  // Store calls until the process dies in one of them; 0: never. One that dies in a commit has
  // committed or not.
  uint64_t dies_in = 0;
  bool dies_behind_the_commit = false;
  // The process that has it open is dead: nothing that it does has an effect any more.
  bool dead = false;
};

// A Store over `disk`, which outlives it. A process that dies in a call gets ABORTED from that and
// all later ones, as one whose run another process has taken over, and fails by it: the scheduler
// tells nobody anything after that.
std::unique_ptr<Store> OpenMemoryStore(Disk* disk);

}  // namespace attnrl::scheduler::simulation
