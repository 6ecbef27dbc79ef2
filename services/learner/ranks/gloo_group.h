// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/learner/ranks/place.h"
#include "services/learner/ranks/rank_group.h"

namespace attnrl::learner {

// Of the message of this number, counted from 0, from one rank to another. c10d takes no tag below
// 0: after 2^31 messages they begin anew, long after the first ones have arrived.
constexpr int MessageTag(uint32_t number) { return static_cast<int>(number & 0x7fff'ffffu); }

struct JoinOptions {
  // How long ranks may take to find each other, and one to answer another later on.
  absl::Duration timeout = absl::Minutes(10);
  // Asked every few seconds while others are missing; true ends the waiting with CANCELLED.
  std::function<bool()> abandon = {};
};

// Meets the other ranks at `place`, which is not alone, and connects to each of them over TCP
// (LibTorch's c10d with Gloo). Rank 0 listens, or torchrun for it; the others try until it is
// there. One that is left of an earlier group, or has ended while it waited, is not taken for it.
// DEADLINE_EXCEEDED says who was waited for; UNAVAILABLE where the port can't be had.
absl::StatusOr<std::unique_ptr<RankGroup>> JoinRanks(const RankPlace& place,
                                                     const JoinOptions& options);

}  // namespace attnrl::learner
