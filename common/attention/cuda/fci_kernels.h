// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "common/attention/cuda/fci_pass.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

// Who computes for GpuFciAttention: a GPU, or the emulator of the tests. What is refused comes back
// as the driver says it.
class FciKernels {
 public:
  virtual ~FciKernels() = default;

  struct Attended {
    at::Tensor out;  // [rows, heads, head_dim]
    at::Tensor lse;  // float32 [heads, rows], the natural log of the sum of exp(score)
  };
  // Causal attention of one sequence; q, k and v [rows, heads, head_dim] with as many heads. Throws
  // what LibTorch does.
  virtual Attended Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const = 0;
  virtual cuda::LaunchError Score(const FciPass<float>& pass, int64_t tiles,
                                  int64_t head_dim) const = 0;
  virtual cuda::LaunchError Score(const FciPass<cuda::BFloat16>& pass, int64_t tiles,
                                  int64_t head_dim) const = 0;
};

// Those of NVIDIA GPUs, on LibTorch's current stream of its current device; null in a build without
// CUDA. Any thread.
const FciKernels* GpuFciKernels();

}  // namespace attnrl::attention
