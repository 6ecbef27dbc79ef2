// SPDX-License-Identifier: Apache-2.0
#pragma once

// A warp for each row of an update, x over the rows and y over the updates.
#include "common/attention/cuda/score_updates.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

struct UpdateScores {
  using Arguments = ScoreUpdates;
  static constexpr int kWarps = 8;
  static constexpr int kThreads = kWarps * cuda::kWarp;
  struct Shared {};

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    const int64_t row = int64_t{cuda::BlockX()} * kWarps + cuda::WarpIndex();
    if (row >= a.rows) return;
    const ScoreUpdate& update = a.updates[cuda::BlockY()];
    for (int32_t step = cuda::LaneIndex(); step < update.steps; step += cuda::kWarp) {
      const int64_t at = row * update.stride + step;
      if (update.queries == 0) {
        update.total[at] = 0;
      } else {
        update.total[at] += update.current[at] / update.queries;
      }
      update.current[at] = 0;
    }
  }
};

}  // namespace attnrl::attention
