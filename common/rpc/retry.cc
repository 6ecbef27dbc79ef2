// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/retry.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"

namespace attnrl::rpc {

absl::Duration Backoff::Next() {
  const double jitter =
      RandomUniform({.seed = policy_.seed, .purpose = RandomPurpose::kRetryJitter}, draws_++);
  absl::Duration pause = policy_.first_backoff;
  for (uint32_t k = 0; k < attempt_ && pause < policy_.max_backoff; ++k) pause *= 2;
  ++attempt_;
  return std::min(pause, policy_.max_backoff) * (0.5 + jitter / 2);
}

absl::Status Retry(const RetryPolicy& policy, Clock& clock,
                   const std::function<absl::Status(absl::Duration left)>& attempt) {
  const absl::Duration end = clock.Monotonic() + policy.deadline;
  Backoff backoff(policy);
  for (int tried = 1;; ++tried) {
    absl::Status status = attempt(end - clock.Monotonic());
    if (!absl::IsUnavailable(status)) return status;
    const absl::Duration pause = backoff.Next();
    const bool last = policy.attempts > 0 && tried >= policy.attempts;
    if (last || clock.Monotonic() + pause >= end) {
      return absl::UnavailableError(absl::StrCat(policy.what, ": given up after ", tried,
                                                 " attempts: ", std::string(status.message())));
    }
    clock.Sleep(pause);
  }
}

}  // namespace attnrl::rpc
