// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "common/attention/cuda/append_rows_kernel.h"
#include "common/attention/cuda/decode_attend_kernel.h"
#include "common/attention/cuda/decode_kernels.h"
#include "common/attention/cuda/decode_merge_kernel.h"
#include "common/attention/cuda/prompts/gather_keys_kernel.h"
#include "common/attention/cuda/score_updates_kernel.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::attention {

// For tests only: the kernels of DecodeAttention in the emulator, for heads of 64 elements.
class EmulatedDecodeKernels final : public DecodeKernels {
 public:
  cuda::LaunchError Append(const AppendRows<float>& pass, int64_t rows) const override {
    return AppendOf(pass, rows);
  }
  cuda::LaunchError Append(const AppendRows<cuda::BFloat16>& pass, int64_t rows) const override {
    return AppendOf(pass, rows);
  }
  cuda::LaunchError Attend(const PagedDecode<float>& pass, int64_t units, int64_t rows,
                           int64_t head_dim) const override {
    return AttendOf(pass, units, rows, head_dim);
  }
  cuda::LaunchError Attend(const PagedDecode<cuda::BFloat16>& pass, int64_t units, int64_t rows,
                           int64_t head_dim) const override {
    return AttendOf(pass, units, rows, head_dim);
  }
  cuda::LaunchError Gather(const GatherKeys<float>& pass, int64_t pieces) const override {
    return GatherOf(pass, pieces);
  }
  cuda::LaunchError Gather(const GatherKeys<cuda::BFloat16>& pass, int64_t pieces) const override {
    return GatherOf(pass, pieces);
  }
  cuda::LaunchError Update(const ScoreUpdates& updates) const override {
    constexpr int64_t kRows = UpdateScores::kWarps;
    const cuda::Grid grid = {(updates.rows + kRows - 1) / kRows, updates.count};
    return Said(cuda::Emulate<UpdateScores>(grid, updates, kOrder));
  }

 private:
  static constexpr auto kOrder = cuda::ThreadOrder::kShuffled;

  static cuda::LaunchError Said(const absl::Status& status) {
    return status.ok() ? nullptr : "a kernel stood still";
  }
  template <typename T>
  static cuda::LaunchError AppendOf(const AppendRows<T>& pass, int64_t rows) {
    return Said(cuda::Emulate<AppendRowsKernel<T>>({rows}, pass, kOrder));
  }
  template <typename T>
  static cuda::LaunchError GatherOf(const GatherKeys<T>& pass, int64_t pieces) {
    return Said(cuda::Emulate<GatherKeysKernel<T>>({pieces, pass.kv_heads}, pass, kOrder));
  }
  template <typename T>
  static cuda::LaunchError AttendOf(const PagedDecode<T>& pass, int64_t units, int64_t rows,
                                    int64_t head_dim) {
    if (head_dim != 64) return "the emulated kernels are for heads of 64 elements";
    const auto error =
        Said(cuda::Emulate<DecodeAttend<T, 64>>({units, pass.kv_heads}, pass, kOrder));
    if (error != nullptr) return error;
    return Said(cuda::Emulate<DecodeMerge<T, 64>>({rows, pass.heads}, pass, kOrder));
  }
};

}  // namespace attnrl::attention
