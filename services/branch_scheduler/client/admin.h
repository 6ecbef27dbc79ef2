// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/security/security.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// What people and tools ask the scheduler. Thread-safe. No call is retried; each ends at its
// deadline at the latest.
class Admin {
 public:
  virtual ~Admin() = default;
  virtual absl::StatusOr<RunStatus> Status(absl::Duration deadline) = 0;
  // The status now and after each change, until `use` returns false (OK), the stream breaks
  // (UNAVAILABLE) or Cancel is called (CANCELLED). Blocks.
  virtual absl::Status WatchStatus(const std::function<bool(const RunStatus&)>& use) = 0;
  // No new leases until Resume.
  virtual absl::Status Pause(const std::string& reason, absl::Duration deadline) = 0;
  // Ends a drain and, unless `keep_pause`, a pause.
  virtual absl::Status Resume(bool keep_pause, absl::Duration deadline) = 0;
  // Waits up to `grace` for leased work, then takes it back; the number of leases returned or
  // taken.
  virtual absl::StatusOr<uint32_t> Drain(absl::Duration grace) = 0;
  // Ends every call, now and later.
  virtual void Cancel() = 0;
};

absl::StatusOr<std::unique_ptr<Admin>> ConnectAdmin(const std::string& address,
                                                    const rpc::Security& security = {});

}  // namespace attnrl::scheduler
