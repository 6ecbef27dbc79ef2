// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/kernels/cuda/testing/emulator.h"
#include "services/rollout_worker/sampling/cuda/kept_rows_kernel.h"
#include "services/rollout_worker/sampling/cuda/sample_rows_kernel.h"

namespace attnrl::rollout {

// For tests only: LaunchSampleRows in the emulator.
inline cuda::LaunchError EmulateSampleRows(const SampleRows& rows, int64_t count,
                                           cuda::ThreadOrder order) {
  const auto cut = [&](int64_t size) { return (rows.blocks + size - 1) / size; };
  bool ok =
      cuda::Emulate<LargestOfBlocks>({cut(LargestOfBlocks::kWarps), count}, rows, order).ok() &&
      cuda::Emulate<WeighBlocks>({cut(WeighBlocks::kBlocks), count}, rows, order).ok();
  if (rows.top_k != nullptr) {
    ok = ok && cuda::Emulate<FindKept>({count}, rows, order).ok() &&
         cuda::Emulate<WeighKept>({cut(WeighKept::kWarps), count}, rows, order).ok();
  }
  ok = ok && cuda::Emulate<DrawRows>({count}, rows, order).ok();
  return ok ? nullptr : "a kernel stood still";
}

inline cuda::LaunchError EmulateSampleRows(const SampleRows& rows, int64_t count) {
  return EmulateSampleRows(rows, count, cuda::ThreadOrder::kShuffled);
}

}  // namespace attnrl::rollout
