// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/attention/cuda/append_rows.h"
#include "common/attention/cuda/paged_decode.h"
#include "common/attention/cuda/prompts/gather_keys.h"
#include "common/attention/cuda/score_updates.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

// Who starts the kernels of DecodeAttention: a GPU, or the emulator of the tests. What is refused
// comes back as the driver says it.
class DecodeKernels {
 public:
  virtual ~DecodeKernels() = default;
  virtual cuda::LaunchError Append(const AppendRows<float>& pass, int64_t rows) const = 0;
  virtual cuda::LaunchError Append(const AppendRows<cuda::BFloat16>& pass, int64_t rows) const = 0;
  virtual cuda::LaunchError Attend(const PagedDecode<float>& pass, int64_t units, int64_t rows,
                                   int64_t head_dim) const = 0;
  virtual cuda::LaunchError Attend(const PagedDecode<cuda::BFloat16>& pass, int64_t units,
                                   int64_t rows, int64_t head_dim) const = 0;
  virtual cuda::LaunchError Gather(const GatherKeys<float>& pass, int64_t pieces) const = 0;
  virtual cuda::LaunchError Gather(const GatherKeys<cuda::BFloat16>& pass,
                                   int64_t pieces) const = 0;
  virtual cuda::LaunchError Update(const ScoreUpdates& updates) const = 0;
};

// Those of NVIDIA GPUs, on LibTorch's current stream of its current device; null in a build without
// CUDA. Any thread.
const DecodeKernels* GpuDecodeKernels();

}  // namespace attnrl::attention
