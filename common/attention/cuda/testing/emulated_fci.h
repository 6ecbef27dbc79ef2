// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/ATen.h>

#include <cmath>

#include "common/attention/cuda/fci_kernel.h"
#include "common/attention/cuda/fci_kernels.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::attention {

// For tests only: the kernels of GpuFciAttention in the emulator, for heads of 64 elements;
// attention by operations of LibTorch.
class EmulatedFciKernels final : public FciKernels {
 public:
  Attended Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const override {
    const auto by_head = [](const at::Tensor& x) { return x.transpose(0, 1).to(at::kFloat); };
    const at::Tensor all =
        by_head(q).matmul(by_head(k).transpose(1, 2)) / std::sqrt(static_cast<double>(q.size(2)));
    const at::Tensor later =
        at::ones({q.size(0), q.size(0)}, all.options().dtype(at::kBool)).triu(1);
    const at::Tensor scores = all.masked_fill(later, -HUGE_VAL);
    return {at::softmax(scores, -1).matmul(by_head(v)).transpose(0, 1).to(q.scalar_type()),
            scores.logsumexp(-1)};
  }
  cuda::LaunchError Score(const FciPass<float>& pass, int64_t tiles, int64_t) const override {
    return ScoreOf(pass, tiles);
  }
  cuda::LaunchError Score(const FciPass<cuda::BFloat16>& pass, int64_t tiles,
                          int64_t) const override {
    return ScoreOf(pass, tiles);
  }

 private:
  template <typename T>
  static cuda::LaunchError ScoreOf(const FciPass<T>& pass, int64_t tiles) {
    constexpr auto kOrder = cuda::ThreadOrder::kShuffled;
    const int64_t blocks = (pass.step_count + FciScores<T>::kWarps - 1) / FciScores<T>::kWarps;
    const bool ok = cuda::Emulate<FciColumns<T, 64>>({tiles, pass.heads}, pass, kOrder).ok() &&
                    cuda::Emulate<FciScores<T>>({blocks}, pass, kOrder).ok();
    return ok ? nullptr : "a kernel stood still";
  }
};

}  // namespace attnrl::attention
