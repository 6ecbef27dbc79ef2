// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/philox.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {

// What the store must hold, in the plainest way.
struct StoreModel {
  std::map<std::string, std::string> facts;
  std::map<uint32_t, uint32_t> segments;
  std::map<uint32_t, Store::BatchRow> batches;
  std::map<ItemId, Store::ResultRow> results;
  std::map<ItemId, std::pair<std::string, Span>> grades;
  std::map<uint32_t, std::string> versions;
  std::map<uint32_t, Store::CommitRow> commits;
  std::set<uint32_t> checkpoints;
  std::map<std::string, std::vector<std::string>> lines;  // not settled
  std::map<std::string, int64_t> settled;
};

// One operation, drawn from `random`, on both: within a transaction of the store. What they answer
// is expected to be the same.
void OperateOnBoth(RandomStream* random, Store* store, StoreModel* model);

// Expects that every read of the store gives what the model holds.
void ExpectEqual(Store& store, const StoreModel& model);

}  // namespace attnrl::scheduler
