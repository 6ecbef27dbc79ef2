// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/version.h"
#include "services/branch_scheduler/types.h"
#include "services/rollout_worker/engine/request.h"

namespace attnrl::rollout {

// The leases that a worker holds: which sequences they became, which results are not acknowledged
// yet. Does nothing by itself: it turns leases into engine requests and completions into results.
// One thread. Memory: the items of all leases held, which the worker bounds by its credits.
class LeaseBook {
 public:
  // `max_tokens`: longest prompt and response of a sequence. Token ids are below `vocabulary`.
  LeaseBook(int64_t max_tokens, int64_t vocabulary)
      : max_tokens_(max_tokens), vocabulary_(vocabulary) {}

  // The requests that a lease stands for that has come at `now`, in the order of its samples. A
  // continuation's prompt is the item's prompt and the kept part of its response; its token index
  // counts from the start of the response. Nothing for a lease that is held already.
  // INVALID_ARGUMENT for an item that can't be worked on, naming it; it is not held then.
  absl::StatusOr<std::vector<Request>> Add(const scheduler::Lease& lease,
                                           absl::Duration now = absl::ZeroDuration());

  // Puts a sampled sequence where it belongs. The whole result when it was the item's last one;
  // it is kept until Forget. Nothing for sequences of leases that are forgotten.
  std::optional<scheduler::ItemResult> Complete(const Completion& completion);

  // Drops these leases and their results. Returns the requests that are still being sampled.
  std::vector<uint64_t> Forget(const std::vector<scheduler::LeaseId>& leases);

  // The lease that a request belongs to; nullopt when it is forgotten.
  std::optional<scheduler::LeaseRef> LeaseOf(uint64_t request) const;

  // Everything held, ascending.
  std::vector<scheduler::LeaseRef> Held() const;
  std::vector<scheduler::LeaseId> Leases() const;
  // Tokens sampled so far for each of Leases(): of finished samples, and `open` of the others, by
  // request.
  std::vector<uint64_t> Tokens(const std::map<uint64_t, uint64_t>& open) const;
  // Leases with samples left to draw, ascending.
  std::vector<scheduler::LeaseId> Unfinished() const;
  // Those of them under these weights.
  std::vector<scheduler::LeaseId> Unfinished(const Version& version) const;
  // Those whose limit has passed by `now`, and when the next one's passes.
  std::vector<scheduler::LeaseId> Late(absl::Duration now) const;
  absl::Duration next_late() const;
  // Finished results that still wait for their acknowledgement, by ascending lease.
  std::vector<scheduler::ItemResult> Unacknowledged() const;
  // Versions that unfinished leases need, by ascending number.
  std::vector<Version> VersionsNeeded() const;
  // Sequences left to sample, over all leases.
  int64_t open_samples() const { return static_cast<int64_t>(requests_.size()); }
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    scheduler::ItemResult result;
    size_t open = 0;                                  // samples left
    absl::Duration limit = absl::InfiniteDuration();  // by when it is to be finished
    std::vector<uint64_t> requests;
  };

  absl::StatusOr<std::vector<Request>> MakeRequests(const scheduler::WorkItem& item) const;

  const int64_t max_tokens_;
  const int64_t vocabulary_;
  uint64_t next_request_ = 1;
  std::map<scheduler::LeaseId, Entry> entries_;  // by lease
  std::map<uint64_t, std::pair<scheduler::LeaseId, size_t>>
      requests_;  // -> lease, index of the sample
};

}  // namespace attnrl::rollout
