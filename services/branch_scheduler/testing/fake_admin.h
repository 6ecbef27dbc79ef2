// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "services/branch_scheduler/client/admin.h"

namespace attnrl::scheduler {

// Answers with the statuses that the test set, one after the other; the last one stays. For tests
// of one thread.
class FakeAdmin final : public Admin {
 public:
  explicit FakeAdmin(std::vector<RunStatus> statuses) : statuses_(std::move(statuses)) {}

  absl::StatusOr<RunStatus> Status(absl::Duration) override {
    if (before_status) before_status();
    if (statuses_.empty()) return absl::UnavailableError("no status was set");
    RunStatus status = statuses_.front();
    if (statuses_.size() > 1) statuses_.erase(statuses_.begin());
    return status;
  }
  absl::Status WatchStatus(const std::function<bool(const RunStatus&)>& use) override {
    for (const RunStatus& status : statuses_) {
      if (!use(status)) return absl::OkStatus();
    }
    return absl::UnavailableError("no more statuses");
  }
  absl::Status Pause(const std::string& reason, absl::Duration) override {
    paused.push_back(reason);
    return absl::OkStatus();
  }
  absl::Status Resume(bool keep_pause, absl::Duration) override {
    resumed.push_back(keep_pause);
    return absl::OkStatus();
  }
  absl::StatusOr<uint32_t> Drain(absl::Duration) override {
    ++drained;
    return 0;
  }
  void Cancel() override {}

  std::function<void()> before_status;  // where it is set
  std::vector<std::string> paused;      // reasons
  std::vector<bool> resumed;            // keep_pause
  int drained = 0;

 private:
  std::vector<RunStatus> statuses_;
};

}  // namespace attnrl::scheduler
