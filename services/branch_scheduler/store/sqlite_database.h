// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/branch_scheduler/store/sql_database.h"

namespace attnrl::scheduler {

// One SQLite file, made if need be, with a lock beside it: InputError where another process has it.
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqliteDatabase(const std::string& path);

}  // namespace attnrl::scheduler
