// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

#include "absl/time/time.h"
#include "common/base/philox.h"

namespace attnrl {

// How long to wait between attempts: each wait is twice the one before, up to a bound, and is drawn
// from between half of that and all of it, so that many processes that lost the same peer don't
// come back at the same moment. It only says how long: the caller waits, and may be woken earlier.
// Not thread-safe.
class Backoff {
 public:
  // Equal seeds draw equal waits. Without one, a back-off differs from every other.
  Backoff(absl::Duration first, absl::Duration bound, uint64_t seed = std::random_device{}());

  // The next wait.
  absl::Duration Next();
  // After progress: the next wait is a first one again.
  void Reset() { full_ = first_; }

 private:
  const absl::Duration first_;
  const absl::Duration bound_;
  absl::Duration full_;  // the next wait, before it is spread
  RandomStream spread_;
};

}  // namespace attnrl
