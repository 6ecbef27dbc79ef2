// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace attnrl::rpc {

struct RetryPolicy {
  // What is tried, for the error: "CommitBatch of batch 7".
  std::string what = {};
  // Attempts in all; 0: only `deadline` ends it.
  int attempts = 0;
  // From the first attempt on.
  absl::Duration deadline = absl::Seconds(60);
  // The pause after attempt k is uniform in [0.5, 1) * min(max_backoff, first_backoff * 2^k).
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(5);
  // Of the jitter: give each process its own, so that they don't come in step.
  uint64_t seed = 0;
};

// Pauses between attempts, by the policy. Not thread-safe.
class Backoff {
 public:
  explicit Backoff(RetryPolicy policy) : policy_(std::move(policy)) {}
  absl::Duration Next();
  // After a success: the next pause is the first again.
  void Reset() { attempt_ = 0; }

 private:
  const RetryPolicy policy_;
  uint32_t attempt_ = 0;
  uint32_t draws_ = 0;
};

// Calls `attempt` until it returns something else than kUnavailable; sleeps in between by `clock`.
// Only for calls that are idempotent. When attempts or time run out: kUnavailable naming `what`,
// the number of attempts and the last error. `attempt` gets the time that is left for it.
absl::Status Retry(const RetryPolicy& policy, Clock& clock,
                   const std::function<absl::Status(absl::Duration left)>& attempt);

}  // namespace attnrl::rpc
