// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/cuda/kernel_language.h"
#include "common/kernels/cuda/rows.h"

namespace attnrl::model {

// Who starts the kernels of GpuOperators: a GPU, or the emulator of the tests. What is refused
// comes back as the driver says it.
class RowKernels {
 public:
  virtual ~RowKernels() = default;
  virtual cuda::LaunchError Norm(const cuda::ResidualNorm<float>& norm, int64_t rows) const = 0;
  virtual cuda::LaunchError Norm(const cuda::ResidualNorm<cuda::BFloat16>& norm,
                                 int64_t rows) const = 0;
  virtual cuda::LaunchError Silu(const cuda::GatedSilu<float>& silu, int64_t rows) const = 0;
  virtual cuda::LaunchError Silu(const cuda::GatedSilu<cuda::BFloat16>& silu,
                                 int64_t rows) const = 0;
};

// Those of NVIDIA GPUs, on LibTorch's current stream of its current device; null in a build without
// CUDA. Any thread.
const RowKernels* GpuRowKernels();

}  // namespace attnrl::model
