// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "common/base/philox.h"

namespace attnrl::rollout {

// Waits between attempts: doubled each time up to a limit, and spread by half so that many workers
// don't come back at the same moment. The spread depends on the worker's name only.
class Backoff {
 public:
  Backoff(absl::Duration first, absl::Duration limit, const std::string& name)
      : first_(first), limit_(limit), random_({.seed = std::hash<std::string>{}(name)}) {}

  // In [0.5, 1] of the full wait.
  absl::Duration Next() {
    const absl::Duration full = std::min(limit_, first_ * (int64_t{1} << std::min(failures_, 20)));
    ++failures_;
    return full * (0.5 + 0.5 * random_.Uniform());
  }
  // After a success.
  void Reset() { failures_ = 0; }

 private:
  const absl::Duration first_;
  const absl::Duration limit_;
  RandomStream random_;
  int failures_ = 0;
};

}  // namespace attnrl::rollout
