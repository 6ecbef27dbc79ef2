// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/decode_kernels.h"

#include <c10/cuda/CUDAStream.h>

namespace attnrl::attention {
namespace {

class DecodeOnGpu final : public DecodeKernels {
 public:
  cuda::LaunchError Append(const AppendRows<float>& pass, int64_t rows) const override {
    return LaunchAppendRows(pass, rows, Current());
  }
  cuda::LaunchError Append(const AppendRows<cuda::BFloat16>& pass, int64_t rows) const override {
    return LaunchAppendRows(pass, rows, Current());
  }
  cuda::LaunchError Attend(const PagedDecode<float>& pass, int64_t units, int64_t rows,
                           int64_t head_dim) const override {
    return LaunchPagedDecode(pass, units, rows, head_dim, Current());
  }
  cuda::LaunchError Attend(const PagedDecode<cuda::BFloat16>& pass, int64_t units, int64_t rows,
                           int64_t head_dim) const override {
    return LaunchPagedDecode(pass, units, rows, head_dim, Current());
  }
  cuda::LaunchError Gather(const GatherKeys<float>& pass, int64_t pieces) const override {
    return LaunchGatherKeys(pass, pieces, Current());
  }
  cuda::LaunchError Gather(const GatherKeys<cuda::BFloat16>& pass, int64_t pieces) const override {
    return LaunchGatherKeys(pass, pieces, Current());
  }
  cuda::LaunchError Update(const ScoreUpdates& updates) const override {
    return LaunchScoreUpdates(updates, Current());
  }

 private:
  static cuda::Stream Current() { return c10::cuda::getCurrentCUDAStream().stream(); }
};

}  // namespace

const DecodeKernels* GpuDecodeKernels() {
  static const DecodeOnGpu kernels;
  return &kernels;
}

}  // namespace attnrl::attention
