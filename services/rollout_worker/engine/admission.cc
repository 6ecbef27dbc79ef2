// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/admission.h"

#include <algorithm>

namespace attnrl::rollout {

std::optional<uint32_t> NextVersion(std::span<const WaitingVersion> waiting,
                                    std::span<const uint32_t> running, int64_t resident) {
  for (const WaitingVersion& next : waiting) {
    if (!next.weights_ready) continue;
    if (std::binary_search(running.begin(), running.end(), next.version)) return next.version;
    if (static_cast<int64_t>(running.size()) < resident) return next.version;
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace attnrl::rollout
