// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/cuda/launch.h"

namespace attnrl::attention {

// What becomes of the sums of online FCI when a step of a response has ended: those of the step,
// divided by its queries, are added to those of the steps before, and begin anew. Pointers are of
// the GPU.
struct ScoreUpdate {
  float* current = nullptr;  // [rows, stride]
  float* total = nullptr;    // the same
  int64_t stride = 0;
  int32_t steps = 0;  // columns, from the first one on
  float queries = 0;  // 0: all of these columns begin anew
};

struct ScoreUpdates {
  const ScoreUpdate* updates = nullptr;
  int32_t count = 0;
  int32_t rows = 0;  // layers * heads
};

// One launch on `stream`.
[[nodiscard]] cuda::LaunchError LaunchScoreUpdates(const ScoreUpdates& updates,
                                                   cuda::Stream stream);

}  // namespace attnrl::attention
