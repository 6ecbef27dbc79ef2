// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/branch_scheduler/store/postgres/connection.h"

namespace attnrl::scheduler::postgres {

// The row that says who owns a run.
struct Owned {
  uint64_t epoch = 0;    // grows with every owner
  uint64_t commits = 0;  // transactions of all owners
  std::string owner = {};
};

// Names the run's schema for every later statement; it may not be there yet.
absl::Status UseSchema(Connection& connection, const std::string& run_id);
// The run's advisory lock, which ends with the connection. False: another one has it.
absl::StatusOr<bool> TryLock(Connection& connection, const std::string& run_id);
// For people; of a run that has no tables yet "another process".
std::string OwnerOf(Connection& connection, const std::string& run_id);
// With the lock: makes schema and tables where they are missing.
absl::Status EnsureTables(Connection& connection, const std::string& run_id);
// With the lock: the next epoch is this process's.
absl::StatusOr<Owned> TakeOver(Connection& connection, const std::string& owner);
absl::StatusOr<Owned> ReadOwned(Connection& connection);

}  // namespace attnrl::scheduler::postgres
