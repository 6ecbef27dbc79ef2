// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/store/postgres/connection.h"
#include "services/branch_scheduler/store/sql_database.h"

namespace attnrl::scheduler::postgres {

struct PostgresOptions {
  ConnectionOptions connection = {};
  std::string run_id = {};  // the run's tables are in a schema of this name behind "attnrl_"
  std::string owner = {};   // this process, for people
  // How long a server that is away is waited for, at the start and in the middle of a run.
  absl::Duration patience = absl::Minutes(2);
  // Between two looks at a lock that another process has.
  absl::Duration look_again = absl::Seconds(1);
  // Asked several times a second in any wait: true gives up, CANCELLED. Null: false.
  std::function<bool()> stop = nullptr;
  // Told after each such look: `owner` has the run. An error ends the wait with it.
  std::function<absl::Status(const std::string& owner)> standby = nullptr;
};

// The tables of a run in PostgreSQL, owned by this process: opening waits for an advisory lock and
// then raises the epoch of the owner, which every transaction checks.
//
// A connection that is lost is made anew, and the open transaction is written again; one that was
// lost in the COMMIT is asked for first, by a number of commits that each transaction raises. After
// `patience`: UNAVAILABLE. ABORTED, from any call: another process owns the run since. DATA_LOSS:
// the server has forgotten what it had committed.
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenPostgresDatabase(const PostgresOptions& options);

}  // namespace attnrl::scheduler::postgres
