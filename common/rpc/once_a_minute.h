// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace attnrl::rpc {

// For log lines about overload, which comes in floods. Thread-safe.
class OnceAMinute {
 public:
  // True the first time, and then for the first call after each minute.
  bool operator()() {
    const int64_t now = absl::ToInt64Milliseconds(Clock::Real().Monotonic());
    int64_t due = due_.load();
    return now >= due && due_.compare_exchange_strong(due, now + kMinuteMs);
  }

 private:
  static constexpr int64_t kMinuteMs = 60'000;
  std::atomic<int64_t> due_ = 0;
};

}  // namespace attnrl::rpc
