// SPDX-License-Identifier: Apache-2.0
#include "common/device/testing/fake_flash.h"

#include <ATen/ATen.h>

#include "common/device/testing/fake_memory.h"

namespace attnrl::device {
namespace {

// [batch, rows, heads, n] of a GPU to [batch, heads, rows, n] on the host, with as many heads as
// the queries have.
at::Tensor OnHost(const at::Tensor& x, int64_t heads) {
  return x.cpu().transpose(1, 2).repeat_interleave(heads / x.size(2), 1);
}

// Of one key head for all queries' heads that ask it, back in the layout of a GPU.
at::Tensor SumOfGroup(const at::Tensor& x, const at::Tensor& like) {
  return x.unflatten(1, {like.size(2), x.size(1) / like.size(2)})
      .sum(2)
      .transpose(1, 2)
      .contiguous()
      .to(like.device());
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor> FakeFlashForward(
    const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const std::optional<at::Tensor>&,
    const std::optional<at::Tensor>&, c10::SymInt, c10::SymInt, double, bool causal, bool,
    std::optional<double>, std::optional<c10::SymInt>, std::optional<c10::SymInt>,
    const std::optional<at::Tensor>&, const std::optional<at::Tensor>&) {
  const Uncounted uncounted;
  const int64_t heads = q.size(2);
  const auto [result, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
      OnHost(q, heads), OnHost(k, heads), OnHost(v, heads), 0.0, causal);
  const at::Tensor none = at::empty({0}, q.options().dtype(at::kLong));
  return {result.transpose(1, 2).contiguous().to(q.device()), lse.contiguous().to(q.device()), none,
          none, none};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> FakeFlashBackward(
    const at::Tensor& gradient, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor& result, const at::Tensor& lse, const at::Tensor&, const at::Tensor&,
    c10::SymInt, c10::SymInt, double, bool causal, const at::Tensor&, const at::Tensor&,
    std::optional<double>, std::optional<c10::SymInt>, std::optional<c10::SymInt>) {
  const Uncounted uncounted;
  const int64_t heads = q.size(2);
  TORCH_CHECK(lse.is_contiguous(), "kernels read log-sum-exps as [batch, heads, rows]");
  const auto [of_q, of_k, of_v] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      OnHost(gradient, heads), OnHost(q, heads), OnHost(k, heads), OnHost(v, heads),
      OnHost(result, heads), lse.cpu(), 0.0, causal);
  return {SumOfGroup(of_q, q), SumOfGroup(of_k, k), SumOfGroup(of_v, v)};
}

}  // namespace attnrl::device
