// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/fci_kernel.h"
#include "common/attention/cuda/fci_pass.h"
#include "common/kernels/cuda/launch.cuh"

namespace attnrl::attention {

template <typename T>
cuda::LaunchError LaunchFci(const FciPass<T>& pass, int64_t tiles, int64_t head_dim,
                            cuda::Stream stream) {
  cuda::LaunchError error = "FCI: the head size is neither 64 nor 128";
  if (head_dim == 64) error = cuda::Launch<FciColumns<T, 64>>(tiles, pass.heads, pass, stream);
  if (head_dim == 128) error = cuda::Launch<FciColumns<T, 128>>(tiles, pass.heads, pass, stream);
  if (error != nullptr) return error;
  constexpr int64_t kSteps = FciScores<T>::kWarps;
  return cuda::Launch<FciScores<T>>((pass.step_count + kSteps - 1) / kSteps, 1, pass, stream);
}

template cuda::LaunchError LaunchFci(const FciPass<float>&, int64_t, int64_t, cuda::Stream);
template cuda::LaunchError LaunchFci(const FciPass<cuda::BFloat16>&, int64_t, int64_t,
                                     cuda::Stream);

}  // namespace attnrl::attention
