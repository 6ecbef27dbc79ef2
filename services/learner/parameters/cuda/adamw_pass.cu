// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/cuda/launch.cuh"
#include "services/learner/parameters/cuda/adamw_kernel.h"
#include "services/learner/parameters/cuda/adamw_pass.h"

namespace attnrl::learner {

cuda::LaunchError LaunchAdamW(const AdamWPass& pass, cuda::Stream stream) {
  constexpr int64_t kPart = AdamWKernel::kThreads * AdamWKernel::kEach;
  return cuda::Launch<AdamWKernel>((pass.count + kPart - 1) / kPart, 1, pass, stream);
}

}  // namespace attnrl::learner
