// SPDX-License-Identifier: Apache-2.0
#include "common/base/backoff.h"

#include <algorithm>

namespace attnrl {

Backoff::Backoff(absl::Duration first, absl::Duration bound, uint64_t seed)
    : first_(std::min(first, bound)),
      bound_(bound),
      full_(first_),
      spread_({.seed = seed, .purpose = RandomPurpose::kRetryJitter}) {}

absl::Duration Backoff::Next() {
  const absl::Duration wait = full_ * (0.5 + spread_.Uniform() / 2);
  full_ = std::min(2 * full_, bound_);
  return wait;
}

}  // namespace attnrl
