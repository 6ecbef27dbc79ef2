// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/branch_scheduler/store/sql_database.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {

// A Store over a database that has the tables of services/branch_scheduler/store/README.md,
// "Database". InputError where they have another format.
absl::StatusOr<std::unique_ptr<Store>> OpenSqlStore(std::unique_ptr<SqlDatabase> database);

}  // namespace attnrl::scheduler
