// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/Parallel.h>

#include <cstdint>

#include "common/kernels/thread_team.h"

namespace attnrl {

// Calls run(begin, end) for ranges that make up [0, items), of `grain` items at least, on the team
// of the calling thread; where it has none, on LibTorch's threads. A team begins a loop within a
// microsecond, so that less work is worth it: `team_grain` then.
template <typename Run>
void ParallelFor(int64_t items, int64_t grain, int64_t team_grain, const Run& run) {
  if (kernels::ThreadTeam* const team = kernels::ThreadTeam::OfThisThread()) {
    team->Run(items, team_grain, run);
  } else {
    at::parallel_for(0, items, grain, run);
  }
}

}  // namespace attnrl
