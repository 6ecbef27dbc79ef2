// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "common/base/status.h"
#include "services/branch_scheduler/store/sql_store.h"
#include "services/branch_scheduler/store/sqlite_database.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(std::unique_ptr<SqlDatabase> database, OpenSqliteDatabase(path));
  return OpenSqlStore(std::move(database));
}

}  // namespace attnrl::scheduler
