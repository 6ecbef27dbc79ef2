// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/cuda/launch.cuh"
#include "services/learner/train/cuda/score_rows.h"
#include "services/learner/train/cuda/score_rows_kernel.h"

namespace attnrl::learner {

cuda::LaunchError LaunchScoreRows(const ScoreRows& chunk, int64_t rows, cuda::Stream stream) {
  return cuda::Launch<ScoreRowsKernel>(rows, 1, chunk, stream);
}

cuda::LaunchError LaunchScoreGradient(const ScoreRows& chunk, int64_t rows, cuda::Stream stream) {
  return cuda::Launch<ScoreGradientKernel>(rows, 1, chunk, stream);
}

}  // namespace attnrl::learner
