// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/branch_scheduler/store/postgres/postgres_database.h"
#include "services/branch_scheduler/store/sql_store.h"
#include "services/branch_scheduler/store/sqlite_database.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {
namespace {

std::string ThisProcess() {
  std::array<char, 256> host = {};
  ::gethostname(host.data(), host.size() - 1);
  return absl::StrCat("process ", ::getpid(), " on ", host.data());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreLocation& location,
                                                 const StoreWaits& waits) {
  if (location.is_file()) {
    ATTNRL_ASSIGN_OR_RETURN(std::unique_ptr<SqlDatabase> database,
                            OpenSqliteDatabase(location.path));
    return OpenSqlStore(std::move(database));
  }
  ATTNRL_ASSIGN_OR_RETURN(std::unique_ptr<SqlDatabase> database,
                          postgres::OpenPostgresDatabase(
                              {.connection = {.url = location.url, .name = location.database},
                               .run_id = location.run_id,
                               .owner = ThisProcess(),
                               .stop = waits.stop,
                               .standby = waits.standby}));
  return OpenSqlStore(std::move(database));
}

}  // namespace attnrl::scheduler
