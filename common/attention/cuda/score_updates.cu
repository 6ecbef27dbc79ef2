// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/score_updates.h"
#include "common/attention/cuda/score_updates_kernel.h"
#include "common/kernels/cuda/launch.cuh"

namespace attnrl::attention {

cuda::LaunchError LaunchScoreUpdates(const ScoreUpdates& updates, cuda::Stream stream) {
  constexpr int64_t kRows = UpdateScores::kWarps;
  return cuda::Launch<UpdateScores>((updates.rows + kRows - 1) / kRows, updates.count, updates,
                                    stream);
}

}  // namespace attnrl::attention
