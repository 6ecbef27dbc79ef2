// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/stall_watch.h"

#include <algorithm>

namespace attnrl::scheduler {

std::optional<absl::Duration> StallWatch::Quiet(absl::Duration now, uint64_t progress) {
  if (progress_ != progress) {
    progress_ = progress;
    since_ = now;
    said_.reset();
    repeat_ = kFirstRepeat;
  }
  if (now - since_ < kQuiet) return std::nullopt;
  return now - since_;
}

bool StallWatch::Due(absl::Duration now, const std::string& reason) {
  if (said_.has_value()) {
    const absl::Duration since = now - said_at_;
    if (since < (said_ == reason ? repeat_ : kBetween)) return false;
    repeat_ = said_ == reason ? std::min(2 * repeat_, kLongestRepeat) : kFirstRepeat;
  }
  said_ = reason;
  said_at_ = now;
  return true;
}

}  // namespace attnrl::scheduler
