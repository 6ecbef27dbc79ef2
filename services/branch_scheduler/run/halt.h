// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {

// What people have asked of a run: that it stops handing out work. Lasts until they end it, through
// any restart.
struct Halt {
  std::string pause = {};  // why the run is to pause; empty: it isn't
  bool draining = false;
  // Batches committed at the last Resume: empty ones before it no longer count
  // (run.max_empty_batches).
  uint32_t resumed_at = 0;
};

// DATA_LOSS where the database holds something else.
absl::StatusOr<Halt> LoadHalt(Store& store);
// Between Begin and Commit of the store.
absl::Status StoreHalt(const Halt& halt, Store& store);

}  // namespace attnrl::scheduler
