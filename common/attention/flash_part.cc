// SPDX-License-Identifier: Apache-2.0
#include "common/attention/flash_part.h"

#include <ATen/ATen.h>

#include <optional>
#include <tuple>

namespace attnrl::attention {
namespace {

// The layouts of the CPU's kernel, [batch, heads, rows, n] with `kv` heads, for queries of `group`
// heads to a key head. Where all rows see all keys, the query heads of a key head are further rows;
// under the causal mask, where a row's number counts, they are the batch.
at::Tensor QueryLayout(const at::Tensor& x, const FlashPart& part, int64_t kv) {
  const int64_t group = x.size(1) / kv;
  const at::Tensor heads = part.Rows(x).unflatten(1, {kv, group});  // [rows, kv, group, n]
  if (part.causal()) return heads.permute({2, 1, 0, 3});
  return heads.transpose(0, 1).flatten(1, 2).unsqueeze(0);
}

// The inverse of QueryLayout: [rows, heads, n].
at::Tensor RowLayout(const at::Tensor& x, const FlashPart& part, int64_t kv) {
  if (part.causal()) return x.permute({2, 1, 0, 3}).flatten(1, 2);
  const int64_t rows = part.last - part.first;
  return x.squeeze(0)
      .unflatten(1, {rows, x.size(2) / rows})
      .transpose(0, 1)
      .reshape({rows, kv * (x.size(2) / rows), x.size(3)});
}

at::Tensor KeyLayout(const at::Tensor& x, const FlashPart& part, int64_t group) {
  const at::Tensor keys = part.Keys(x).transpose(0, 1).unsqueeze(0);
  return part.causal() ? keys.expand({group, -1, -1, -1}) : keys;
}

// GPUs' kernels take [batch, rows, heads, n] with fewer heads of keys than of queries, and
// log-sum-exps [batch, heads, rows].
at::Tensor Batch(const at::Tensor& x) { return x.unsqueeze(0); }

FlashResult RunOnGpu(const FlashPart& part, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) {
  const auto results = at::_flash_attention_forward(
      Batch(part.Rows(q)), Batch(part.Keys(k)), Batch(part.Keys(v)), std::nullopt, std::nullopt,
      part.last - part.first, part.end - part.begin, 0.0, part.causal(),
      /*return_debug_mask=*/false);
  return {std::get<0>(results).squeeze(0),
          std::get<1>(results).squeeze(0).transpose(0, 1).unsqueeze(-1)};
}

FlashGradients BackOnGpu(const FlashPart& part, const at::Tensor& gradient, const at::Tensor& q,
                         const at::Tensor& k, const at::Tensor& v, const at::Tensor& result,
                         const at::Tensor& lse) {
  const at::Tensor none;
  const at::Tensor no_dropout = at::empty({0}, q.options().dtype(at::kLong));
  const auto [of_q, of_k, of_v] = at::_flash_attention_backward(
      Batch(part.Rows(gradient)), Batch(part.Rows(q)), Batch(part.Keys(k)), Batch(part.Keys(v)),
      Batch(part.Rows(result)), Batch(part.Rows(lse).squeeze(-1).transpose(0, 1).contiguous()),
      none, none, part.last - part.first, part.end - part.begin, 0.0, part.causal(), no_dropout,
      no_dropout);
  return {of_q.squeeze(0), of_k.squeeze(0), of_v.squeeze(0)};
}

}  // namespace

bool HasFlash(at::Device device, at::ScalarType dtype, int64_t head_dim) {
  if (device.is_cpu()) return true;
  return (dtype == at::kBFloat16 || dtype == at::kHalf) && head_dim % 8 == 0 && head_dim <= 256;
}

FlashResult RunFlash(const FlashPart& part, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) {
  if (!q.is_cpu()) return RunOnGpu(part, q, k, v);
  const int64_t kv = k.size(1), group = q.size(1) / kv;
  const auto [result, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
      QueryLayout(q, part, kv), KeyLayout(k, part, group), KeyLayout(v, part, group), 0.0,
      part.causal());
  return {RowLayout(result, part, kv), RowLayout(lse.unsqueeze(-1), part, kv)};
}

at::Tensor RunFlash(const FlashSequences& sequences, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) {
  return std::get<0>(at::_flash_attention_forward(q, k, v, sequences.query_ends, sequences.key_ends,
                                                  sequences.most_queries, sequences.most_keys, 0.0,
                                                  /*is_causal=*/true, /*return_debug_mask=*/false));
}

FlashGradients BackFlash(const FlashPart& part, const at::Tensor& gradient, const at::Tensor& q,
                         const at::Tensor& k, const at::Tensor& v, const at::Tensor& result,
                         const at::Tensor& lse) {
  if (!q.is_cpu()) return BackOnGpu(part, gradient, q, k, v, result, lse);
  const int64_t kv = k.size(1), group = q.size(1) / kv;
  const auto [of_q, of_k, of_v] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      QueryLayout(gradient, part, kv), QueryLayout(q, part, kv), KeyLayout(k, part, group),
      KeyLayout(v, part, group), QueryLayout(result, part, kv),
      QueryLayout(lse, part, kv).squeeze(-1), 0.0, part.causal());
  // [batch, kv, keys, n] -> [keys, kv, n]
  const auto keys = [&](const at::Tensor& x) {
    return x.to(lse.scalar_type()).sum(0).transpose(0, 1);
  };
  return {RowLayout(of_q, part, kv), keys(of_k), keys(of_v)};
}

}  // namespace attnrl::attention
