// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cached_attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

#include "common/attention/grouped_heads.h"

namespace attnrl::attention {
namespace {

at::Tensor ToTensor(const std::vector<int64_t>& values, const at::Device& device) {
  return at::tensor(values, at::TensorOptions(at::kLong)).to(device);
}

// 0, 1, 2, ...
bool IsIota(const std::vector<int64_t>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

}  // namespace

CachedAttention::CachedAttention(KvCache& cache, const std::vector<SequenceRows>& sequences,
                                 Kernels kernels)
    : cache_(cache),
      append_(cache.AppendIndex(sequences)),
      attend_rows_(kernels == Kernels::kBest && CanAttendRows(cache)) {
  const at::Device device = append_.device();
  std::vector<int64_t> decode_rows;
  int64_t next_row = 0;
  for (const SequenceRows& sequence : sequences) {
    const int64_t first_row = next_row;
    next_row += sequence.rows;
    if (sequence.rows == 1) {
      decode_.push_back({.slot = sequence.slot, .tokens = sequence.past + 1});
      decode_rows.push_back(first_row);
      continue;
    }
    Prefill prefill{.sequence = sequence, .first_row = first_row, .mask = {}};
    if (sequence.past > 0) {
      const int64_t keys = sequence.past + sequence.rows;
      prefill.mask = at::ones({sequence.rows, keys}, at::TensorOptions(at::kBool).device(device))
                         .tril(sequence.past);
    }
    prefills_.push_back(std::move(prefill));
  }
  if (!prefills_.empty() && !decode_.empty()) decode_rows_ = ToTensor(decode_rows, device);
  if (!decode_.empty() && !attend_rows_) PlanAtenDecode();
}

void CachedAttention::PlanAtenDecode() {
  const at::Device device = append_.device();
  const auto count = static_cast<int64_t>(decode_.size());
  const auto [low, high] = std::minmax_element(
      decode_.begin(), decode_.end(), [](const auto& a, const auto& b) { return a.slot < b.slot; });
  first_slot_ = low->slot;
  slot_count_ = high->slot - low->slot + 1;
  std::vector<int64_t> slots;
  for (const CachedRow& row : decode_) slots.push_back(row.slot);
  if (slot_count_ > 2 * count) {
    // Far apart: copying the keys together costs less than attending over the gaps.
    gather_slots_ = ToTensor(slots, device);
    slot_count_ = count;
    for (size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<int64_t>(i);
  } else {
    for (int64_t& slot : slots) slot -= first_slot_;
  }
  if (slot_count_ != count || !IsIota(slots)) decode_slots_ = ToTensor(slots, device);

  // A slot in a gap sees one token, so that no row of the softmax is empty.
  std::vector<int64_t> visible(static_cast<size_t>(slot_count_), 1);
  for (size_t i = 0; i < slots.size(); ++i) {
    visible[static_cast<size_t>(slots[i])] = decode_[i].tokens;
    longest_ = std::max(longest_, decode_[i].tokens);
  }
  if (*std::min_element(visible.begin(), visible.end()) == longest_) return;
  const at::Tensor hidden = at::arange(longest_, at::TensorOptions(at::kLong).device(device))
                                .ge(ToTensor(visible, device).unsqueeze(1))
                                .view({slot_count_, 1, 1, longest_});
  mask_ = at::zeros(hidden.sizes(), cache_.keys(0).options())
              .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

at::Tensor CachedAttention::Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                    const at::Tensor& v) {
  at::NoGradGuard no_grad;
  cache_.Append(layer, append_, k, v);
  if (prefills_.empty()) return Decode(layer, q);

  at::Tensor result = at::empty(q.sizes(), q.options());
  for (const Prefill& prefill : prefills_) {
    result.narrow(0, prefill.first_row, prefill.sequence.rows)
        .copy_(AttendPrefill(prefill, layer, q));
  }
  if (!decode_.empty()) {
    result.index_copy_(0, decode_rows_, Decode(layer, q.index_select(0, decode_rows_)));
  }
  return result;
}

// By ATen, the query heads of one key head take the place of query rows: nothing is repeated.
at::Tensor CachedAttention::Decode(int64_t layer, const at::Tensor& q) const {
  if (attend_rows_) return AttendRows(cache_, layer, q, decode_);
  const KvCacheShape& shape = cache_.shape();
  const int64_t repeats = q.size(1) / shape.kv_heads;
  at::Tensor queries = q;
  if (decode_slots_.defined()) {
    queries = at::zeros({slot_count_, q.size(1), q.size(2)}, q.options());
    queries.index_copy_(0, decode_slots_, q);
  }
  // [slots, kv_heads, longest, head_dim]
  const auto select = [&](const at::Tensor& cache) {
    const at::Tensor tokens = cache.narrow(1, 0, longest_);
    const at::Tensor slots = gather_slots_.defined() ? tokens.index_select(0, gather_slots_)
                                                     : tokens.narrow(0, first_slot_, slot_count_);
    return slots.to(q.scalar_type()).transpose(1, 2);
  };
  std::optional<at::Tensor> mask;
  if (mask_.defined()) mask = mask_.to(q.scalar_type());
  const at::Tensor result = at::scaled_dot_product_attention(
      queries.reshape({slot_count_, shape.kv_heads, repeats, shape.head_dim}),
      select(cache_.keys(layer)), select(cache_.values(layer)), mask);
  const at::Tensor rows = result.reshape({slot_count_, q.size(1), q.size(2)});
  return decode_slots_.defined() ? rows.index_select(0, decode_slots_) : rows;
}

at::Tensor CachedAttention::AttendPrefill(const Prefill& prefill, int64_t layer,
                                          const at::Tensor& q) const {
  const auto& [slot, past, rows] = prefill.sequence;
  const int64_t repeats = q.size(1) / cache_.shape().kv_heads;
  // [1, heads, tokens, head_dim]
  const auto heads_first = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  const auto select = [&](const at::Tensor& cache) {
    const at::Tensor tokens = cache.select(0, slot).narrow(0, 0, past + rows);
    return RepeatHeads(heads_first(tokens.to(q.scalar_type())), repeats);
  };
  std::optional<at::Tensor> mask;
  if (prefill.mask.defined()) mask = prefill.mask;
  const at::Tensor result = at::scaled_dot_product_attention(
      heads_first(q.narrow(0, prefill.first_row, rows)), select(cache_.keys(layer)),
      select(cache_.values(layer)), mask, 0.0,
      /*is_causal=*/past == 0);
  return result.squeeze(0).transpose(0, 1);
}

}  // namespace attnrl::attention
