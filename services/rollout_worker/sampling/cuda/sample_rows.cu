// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/cuda/launch.cuh"
#include "services/rollout_worker/sampling/cuda/kept_rows_kernel.h"
#include "services/rollout_worker/sampling/cuda/sample_rows.h"
#include "services/rollout_worker/sampling/cuda/sample_rows_kernel.h"

namespace attnrl::rollout {

cuda::LaunchError LaunchSampleRows(const SampleRows& rows, int64_t count, cuda::Stream stream) {
  if (rows.blocks != SampleRows::BlocksOf(rows.vocabulary)) return "sampler: blocks don't fit ids";
  if (rows.blocks > SampleRows::kMostBlocks)
    return "sampler: a vocabulary of more than 1,048,576 ids";
  const auto cut = [&](int64_t size) { return (rows.blocks + size - 1) / size; };
  if (auto error =
          cuda::Launch<LargestOfBlocks>(cut(LargestOfBlocks::kWarps), count, rows, stream)) {
    return error;
  }
  if (auto error = cuda::Launch<WeighBlocks>(cut(WeighBlocks::kBlocks), count, rows, stream)) {
    return error;
  }
  if (rows.top_k != nullptr) {
    if (auto error = cuda::Launch<FindKept>(count, 1, rows, stream)) return error;
    if (auto error = cuda::Launch<WeighKept>(cut(WeighKept::kWarps), count, rows, stream)) {
      return error;
    }
  }
  return cuda::Launch<DrawRows>(count, 1, rows, stream);
}

}  // namespace attnrl::rollout
