// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace attnrl::rollout {

// A version of which a sequence waits.
struct WaitingVersion {
  uint32_t version = 0;
  bool weights_ready = false;
};

// The version whose next sequence enters: the oldest that waits and has its weights, since older
// work is what the run's next training batch waits for. At most `resident` versions run at once;
// nullopt where the oldest one would be one too many. Pure. Both lists ascend.
std::optional<uint32_t> NextVersion(std::span<const WaitingVersion> waiting,
                                    std::span<const uint32_t> running, int64_t resident);

}  // namespace attnrl::rollout
