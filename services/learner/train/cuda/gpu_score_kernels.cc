// SPDX-License-Identifier: Apache-2.0
#include <c10/cuda/CUDAStream.h>

#include "services/learner/train/cuda/score_kernels.h"

namespace attnrl::learner {
namespace {

class OnGpu final : public ScoreKernels {
 public:
  cuda::LaunchError Scores(const ScoreRows& chunk, int64_t rows) const override {
    return LaunchScoreRows(chunk, rows, Current());
  }
  cuda::LaunchError Gradient(const ScoreRows& chunk, int64_t rows) const override {
    return LaunchScoreGradient(chunk, rows, Current());
  }

 private:
  static cuda::Stream Current() { return c10::cuda::getCurrentCUDAStream().stream(); }
};

}  // namespace

const ScoreKernels* GpuScoreKernels() {
  static const OnGpu kernels;
  return &kernels;
}

}  // namespace attnrl::learner
