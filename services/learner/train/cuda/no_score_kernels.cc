// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/cuda/score_kernels.h"

namespace attnrl::learner {

const ScoreKernels* GpuScoreKernels() { return nullptr; }

}  // namespace attnrl::learner
