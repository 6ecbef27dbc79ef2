// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace attnrl::learner {

// How many bytes a second a process sends, over all its calls: a token bucket, which holds what a
// tenth of a second brings. A message goes when the bucket isn't empty, so that one may be larger
// than it, and the next one waits for longer. Thread-safe; who comes first goes first.
class RateLimit {
 public:
  // 0: no limit.
  explicit RateLimit(uint64_t bytes_per_second, Clock& clock = Clock::Real())
      : bytes_per_second_(bytes_per_second), clock_(clock) {}

  // Waits until `bytes` may be sent; false where `stopped`, which is asked ten times a second, says
  // that they won't be.
  bool Take(uint64_t bytes, const std::function<bool()>& stopped);

 private:
  const uint64_t bytes_per_second_;
  Clock& clock_;
  absl::Mutex mutex_;
  // The monotonic time by which all that was taken is earned.
  absl::Duration earned_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

}  // namespace attnrl::learner
