// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "services/branch_scheduler/store_location.h"

namespace attnrl::scheduler {

// Whether a database belongs to the run directory that it is opened for. Both only read, are
// InputErrors that say what is newer than the database and what to do, and come before anything of
// the run is written: a database that was lost, or put back from an older copy, must not make the
// records fit it.

// Before a file is opened, which would make a new one.
absl::Status CheckDatabaseIsThere(const std::string& database, const std::string& records,
                                  const std::string& run_dir);
// Where a server has nothing of the run.
absl::Status CheckNoRecordsAreThere(const std::string& database, const std::string& records,
                                    const std::string& run_dir);
// Where a server has `committed` steps of it: another run of this name has its records elsewhere.
absl::Status CheckRecordsAreThere(const StoreLocation& store, const std::string& records,
                                  uint32_t committed);

// `committed`: batches that the database knows to be trained. The learner's newest checkpoint and
// version may be one ahead, where a kill came before their commit.
absl::Status CheckDatabaseIsNotBehind(const std::string& database, const std::string& run_dir,
                                      uint32_t committed);

// What both recommend.
inline constexpr char kPutBack[] =
    "put back the database that belongs to them, with its -wal file, or start a new run in another "
    "directory";

}  // namespace attnrl::scheduler
