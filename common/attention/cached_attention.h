// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/attention/attention.h"
#include "common/attention/kv_cache.h"

namespace attnrl::attention {

// Attention over a KV cache with ATen operations, for decoding: appends the pass's keys and values
// to their slots, then attends. All sequences with one new row (decode) go through one operation a
// layer; a sequence with several (prefill, whole or a piece) through one of its own. Without
// gradients. A row's last bits may depend on which other rows are in the pass; FixedOrderAttention
// is the one that promises more.
//
//   CachedAttention attention(cache, {{.slot = 0, .past = 0, .rows = 12}, {.slot = 3, .past =
//   40}});
//
// The cache must outlive it. Works on the device of the cache. One pass, one thread.
class CachedAttention final : public Attention {
 public:
  CachedAttention(KvCache& cache, const std::vector<SequenceRows>& sequences);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

 private:
  struct Prefill {
    SequenceRows sequence;
    int64_t first_row = 0;
    at::Tensor mask;  // bool [rows, past + rows]; undefined when past == 0
  };

  void PlanDecode(const std::vector<SequenceRows>& decode, const std::vector<int64_t>& rows);
  at::Tensor Decode(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values) const;
  at::Tensor AttendPrefill(const Prefill& prefill, const at::Tensor& q, const at::Tensor& keys,
                           const at::Tensor& values) const;

  KvCache& cache_;
  at::Tensor append_;  // of KvCache::AppendIndex
  std::vector<Prefill> prefills_;
  // The decode rows, computed over the slots [first_slot_, first_slot_ + slot_count_).
  int64_t decode_count_ = 0;
  int64_t first_slot_ = 0;
  int64_t slot_count_ = 0;
  int64_t longest_ = 0;      // cached tokens of the longest of them, the new one included
  at::Tensor decode_rows_;   // int64 [decode_count_]; undefined when every row decodes
  at::Tensor decode_slots_;  // int64 [decode_count_], from first_slot_; undefined when 0, 1, 2, ...
  at::Tensor gather_slots_;  // int64 [slot_count_]: slots copied together where they lie far apart
  at::Tensor mask_;  // bool [slot_count_, 1, 1, longest_]; undefined when all are equally long
};

}  // namespace attnrl::attention
