// SPDX-License-Identifier: Apache-2.0
#pragma once

// How a .cu file starts kernels of kernel_language.h.
#include <cuda_runtime.h>

#include "common/kernels/cuda/kernel_language.h"
#include "common/kernels/cuda/launch.h"

namespace attnrl::cuda {

template <typename Kernel>
__global__ void __launch_bounds__(Kernel::kThreads)
    RunKernel(const __grid_constant__ typename Kernel::Arguments arguments) {
  __shared__ typename Kernel::Shared shared;
  static_assert(sizeof(shared) <= 48 * 1024, "more than every GPU gives without being asked");
  Kernel::Run(arguments, shared);
}

// Blocks in x and y; nothing is started where there is none.
template <typename Kernel>
[[nodiscard]] LaunchError Launch(int64_t x, int64_t y, const typename Kernel::Arguments& arguments,
                                 Stream stream) {
  if (x == 0 || y == 0) return nullptr;
  const dim3 grid(static_cast<unsigned>(x), static_cast<unsigned>(y));
  RunKernel<Kernel><<<grid, Kernel::kThreads, 0, stream>>>(arguments);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace attnrl::cuda
