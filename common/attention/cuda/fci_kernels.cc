// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/fci_kernels.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>

#include <optional>
#include <tuple>

namespace attnrl::attention {
namespace {

class FciOnGpu final : public FciKernels {
 public:
  Attended Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const override {
    const auto by_head = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
    at::Tensor out;
    at::Tensor lse;
    if (q.scalar_type() == at::kFloat) {  // the flash kernel has no float32
      std::tie(out, lse, std::ignore, std::ignore) = at::_scaled_dot_product_efficient_attention(
          by_head(q), by_head(k), by_head(v), /*attn_bias=*/std::nullopt,
          /*compute_log_sumexp=*/true, /*dropout_p=*/0.0, /*is_causal=*/true);
    } else {
      const auto attended = at::_scaled_dot_product_flash_attention(
          by_head(q), by_head(k), by_head(v), /*dropout_p=*/0.0, /*is_causal=*/true);
      out = std::get<0>(attended);
      lse = std::get<1>(attended);
    }
    // Padded to whole tiles by one of them.
    return {out.squeeze(0).transpose(0, 1), lse.squeeze(0).narrow(1, 0, q.size(0))};
  }
  cuda::LaunchError Score(const FciPass<float>& pass, int64_t tiles,
                          int64_t head_dim) const override {
    return LaunchFci(pass, tiles, head_dim, Current());
  }
  cuda::LaunchError Score(const FciPass<cuda::BFloat16>& pass, int64_t tiles,
                          int64_t head_dim) const override {
    return LaunchFci(pass, tiles, head_dim, Current());
  }

 private:
  static cuda::Stream Current() { return c10::cuda::getCurrentCUDAStream().stream(); }
};

}  // namespace

const FciKernels* GpuFciKernels() {
  static const FciOnGpu kernels;
  return &kernels;
}

}  // namespace attnrl::attention
