// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/prompts/gather_keys.h"
#include "common/attention/cuda/prompts/gather_keys_kernel.h"
#include "common/kernels/cuda/launch.cuh"

namespace attnrl::attention {

template <typename T>
cuda::LaunchError LaunchGatherKeys(const GatherKeys<T>& pass, int64_t pieces, cuda::Stream stream) {
  if (pass.head_dim > kMostGatheredHead) return "gathered keys: heads of more than 128 numbers";
  return cuda::Launch<GatherKeysKernel<T>>(pieces, pass.kv_heads, pass, stream);
}

template cuda::LaunchError LaunchGatherKeys(const GatherKeys<float>&, int64_t, cuda::Stream);
template cuda::LaunchError LaunchGatherKeys(const GatherKeys<cuda::BFloat16>&, int64_t,
                                            cuda::Stream);

}  // namespace attnrl::attention
