// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/cuda/launch.cuh"
#include "common/kernels/cuda/rows.h"
#include "common/kernels/cuda/rows_kernel.h"

namespace attnrl::cuda {

template <typename T>
LaunchError LaunchResidualNorm(const ResidualNorm<T>& norm, int64_t rows, Stream stream) {
  if (norm.n > ResidualNorm<T>::kMost) return "norm: a row of more than 8,192 numbers";
  if (norm.n % kSixteenBytes<T> != 0) return "norm: a row that is no multiple of 16 bytes";
  return Launch<ResidualNormKernel<T>>(rows, 1, norm, stream);
}

template <typename T>
LaunchError LaunchGatedSilu(const GatedSilu<T>& silu, int64_t rows, Stream stream) {
  if (silu.n % kSixteenBytes<T> != 0 || silu.stride % kSixteenBytes<T> != 0) {
    return "SiLU: rows that are no multiples of 16 bytes";
  }
  constexpr int64_t kPart = GatedSiluKernel<T>::kThreads * kSixteenBytes<T>;
  return Launch<GatedSiluKernel<T>>(rows, (silu.n + kPart - 1) / kPart, silu, stream);
}

template LaunchError LaunchResidualNorm(const ResidualNorm<float>&, int64_t, Stream);
template LaunchError LaunchResidualNorm(const ResidualNorm<BFloat16>&, int64_t, Stream);
template LaunchError LaunchGatedSilu(const GatedSilu<float>&, int64_t, Stream);
template LaunchError LaunchGatedSilu(const GatedSilu<BFloat16>&, int64_t, Stream);

}  // namespace attnrl::cuda
