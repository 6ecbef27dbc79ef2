// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/cuda/launch.h"
#include "services/learner/train/cuda/score_rows.h"

namespace attnrl::learner {

// Who starts the kernels of score_rows.h for `rows` rows: a GPU, or the emulator of the tests. What
// is refused comes back as the driver says it.
class ScoreKernels {
 public:
  virtual ~ScoreKernels() = default;
  virtual cuda::LaunchError Scores(const ScoreRows& chunk, int64_t rows) const = 0;
  virtual cuda::LaunchError Gradient(const ScoreRows& chunk, int64_t rows) const = 0;
};

// Those of NVIDIA GPUs, on LibTorch's current stream of its current device; null in a build without
// CUDA. Any thread.
const ScoreKernels* GpuScoreKernels();

}  // namespace attnrl::learner
