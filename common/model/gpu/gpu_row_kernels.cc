// SPDX-License-Identifier: Apache-2.0
#include <c10/cuda/CUDAStream.h>

#include "common/model/gpu/row_kernels.h"

namespace attnrl::model {
namespace {

class OnGpu final : public RowKernels {
 public:
  cuda::LaunchError Norm(const cuda::ResidualNorm<float>& norm, int64_t rows) const override {
    return LaunchResidualNorm(norm, rows, Current());
  }
  cuda::LaunchError Norm(const cuda::ResidualNorm<cuda::BFloat16>& norm,
                         int64_t rows) const override {
    return LaunchResidualNorm(norm, rows, Current());
  }
  cuda::LaunchError Silu(const cuda::GatedSilu<float>& silu, int64_t rows) const override {
    return LaunchGatedSilu(silu, rows, Current());
  }
  cuda::LaunchError Silu(const cuda::GatedSilu<cuda::BFloat16>& silu, int64_t rows) const override {
    return LaunchGatedSilu(silu, rows, Current());
  }

 private:
  static cuda::Stream Current() { return c10::cuda::getCurrentCUDAStream().stream(); }
};

}  // namespace

const RowKernels* GpuRowKernels() {
  static const OnGpu kernels;
  return &kernels;
}

}  // namespace attnrl::model
