// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/kernels/cuda/rows_kernel.h"
#include "common/kernels/cuda/testing/emulator.h"
#include "common/model/gpu/row_kernels.h"

namespace attnrl::model {

// For tests only: the kernels of GpuOperators in the emulator.
class EmulatedRowKernels final : public RowKernels {
 public:
  cuda::LaunchError Norm(const cuda::ResidualNorm<float>& norm, int64_t rows) const override {
    return NormOf(norm, rows);
  }
  cuda::LaunchError Norm(const cuda::ResidualNorm<cuda::BFloat16>& norm,
                         int64_t rows) const override {
    return NormOf(norm, rows);
  }
  cuda::LaunchError Silu(const cuda::GatedSilu<float>& silu, int64_t rows) const override {
    return SiluOf(silu, rows);
  }
  cuda::LaunchError Silu(const cuda::GatedSilu<cuda::BFloat16>& silu, int64_t rows) const override {
    return SiluOf(silu, rows);
  }

 private:
  static constexpr auto kOrder = cuda::ThreadOrder::kShuffled;

  template <typename T>
  cuda::LaunchError NormOf(const cuda::ResidualNorm<T>& norm, int64_t rows) const {
    const bool ok = cuda::Emulate<cuda::ResidualNormKernel<T>>({rows}, norm, kOrder).ok();
    return ok ? nullptr : "a kernel stood still";
  }
  template <typename T>
  cuda::LaunchError SiluOf(const cuda::GatedSilu<T>& silu, int64_t rows) const {
    constexpr int64_t kPart = cuda::GatedSiluKernel<T>::kThreads * cuda::kSixteenBytes<T>;
    const int64_t parts = (silu.n + kPart - 1) / kPart;
    const bool ok = cuda::Emulate<cuda::GatedSiluKernel<T>>({rows, parts}, silu, kOrder).ok();
    return ok ? nullptr : "a kernel stood still";
  }
};

}  // namespace attnrl::model
