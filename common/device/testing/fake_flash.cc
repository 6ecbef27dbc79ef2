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

// Sequences of [rows, heads, n] each, by the formula in float32.
at::Tensor AttendToSequences(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const at::Tensor& query_ends, const at::Tensor& key_ends,
                             int64_t most_queries, int64_t most_keys) {
  for (const at::Tensor& ends : {query_ends, key_ends}) {
    TORCH_CHECK(
        ends.device() == q.device() && ends.scalar_type() == at::kInt && ends.is_contiguous(),
        "kernels read where sequences end as 32-bit integers of the device");
  }
  const at::Tensor queries = q.cpu(), keys = k.cpu(), values = v.cpu();
  const at::Tensor query_end = query_ends.cpu(), key_end = key_ends.cpu();
  const auto by_head = [&](const at::Tensor& x, int64_t first, int64_t count) {
    return x.narrow(0, first, count)
        .transpose(0, 1)
        .repeat_interleave(q.size(1) / x.size(1), 0)
        .to(at::kFloat);
  };
  at::Tensor result = at::zeros_like(queries);
  for (int64_t i = 0; i + 1 < query_end.size(0); ++i) {
    const auto row = query_end[i].item<int64_t>(), key = key_end[i].item<int64_t>();
    const int64_t rows = query_end[i + 1].item<int64_t>() - row;
    const int64_t count = key_end[i + 1].item<int64_t>() - key;
    TORCH_CHECK(rows <= most_queries && count <= most_keys, "a sequence is longer than was said");
    if (count == 0) continue;
    const at::Tensor seen = at::ones({rows, count}, at::kBool).tril(count - rows);
    result.narrow(0, row, rows)
        .copy_(at::scaled_dot_product_attention(by_head(queries, row, rows),
                                                by_head(keys, key, count),
                                                by_head(values, key, count), seen)
                   .transpose(0, 1));
  }
  return result.to(q.device());
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor> FakeFlashForward(
    const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const std::optional<at::Tensor>& query_ends, const std::optional<at::Tensor>& key_ends,
    c10::SymInt most_queries, c10::SymInt most_keys, double, bool causal, bool,
    std::optional<double>, std::optional<c10::SymInt>, std::optional<c10::SymInt>,
    const std::optional<at::Tensor>&, const std::optional<at::Tensor>&) {
  CountOperation();
  const Uncounted uncounted;
  if (query_ends.has_value()) {
    TORCH_CHECK(causal && key_ends.has_value(), "sequences of one call are causal here");
    const at::Tensor unread = at::empty({0}, q.options());
    return {AttendToSequences(q, k, v, *query_ends, *key_ends, most_queries.expect_int(),
                              most_keys.expect_int()),
            unread, unread, unread, unread};
  }
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
  CountOperation();
  const Uncounted uncounted;
  const int64_t heads = q.size(2);
  TORCH_CHECK(lse.is_contiguous(), "kernels read log-sum-exps as [batch, heads, rows]");
  const auto [of_q, of_k, of_v] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      OnHost(gradient, heads), OnHost(q, heads), OnHost(k, heads), OnHost(v, heads),
      OnHost(result, heads), lse.cpu(), 0.0, causal);
  return {SumOfGroup(of_q, q), SumOfGroup(of_k, k), SumOfGroup(of_v, v)};
}

}  // namespace attnrl::device
