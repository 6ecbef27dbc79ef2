// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/rate_limit.h"

#include <algorithm>

namespace attnrl::learner {
namespace {

constexpr absl::Duration kTenth = absl::Milliseconds(100);

}  // namespace

bool RateLimit::Take(uint64_t bytes, const std::function<bool()>& stopped) {
  if (bytes_per_second_ == 0) return true;
  const absl::Duration cost =
      absl::Seconds(static_cast<double>(bytes) / static_cast<double>(bytes_per_second_));
  absl::Duration start;
  {
    absl::MutexLock lock(&mutex_);
    start = std::max(earned_, clock_.Monotonic() - kTenth);
    earned_ = start + cost;
  }
  while (true) {
    const absl::Duration wait = start - clock_.Monotonic();
    if (wait <= absl::ZeroDuration()) return true;
    if (stopped()) break;
    clock_.Sleep(std::min(wait, kTenth));
  }
  absl::MutexLock lock(&mutex_);
  earned_ -= cost;
  return false;
}

}  // namespace attnrl::learner
