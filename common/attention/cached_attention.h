// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/attention/attend_rows.h"
#include "common/attention/attention.h"
#include "common/attention/kv_cache.h"

namespace attnrl::attention {

// Attention over a KV cache, for decoding: appends the pass's keys and values to their slots, then
// attends. All sequences with one new row (decode) go through one call a layer: AttendRows where
// the device has it, one ATen attention over the padded slots elsewhere. A sequence with several
// rows (prefill, whole or a piece) goes through an ATen attention of its own. Without gradients. A
// row's last bits may depend on which other rows are in the pass; FixedOrderAttention promises
// more.
//
//   CachedAttention attention(cache, {{.slot = 0, .past = 0, .rows = 12}, {.slot = 3, .past =
//   40}});
//
// The cache must outlive it. Works on the device of the cache. One pass, one thread.
class CachedAttention final : public Attention {
 public:
  // kAten: as on a device without AttendRows, for tests.
  enum class Kernels { kBest, kAten };
  CachedAttention(KvCache& cache, const std::vector<SequenceRows>& sequences,
                  Kernels kernels = Kernels::kBest);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

 private:
  struct Prefill {
    SequenceRows sequence;
    int64_t first_row = 0;
    at::Tensor mask;  // bool [rows, past + rows]; undefined when past == 0
  };

  void PlanAtenDecode();
  at::Tensor Decode(int64_t layer, const at::Tensor& q) const;
  at::Tensor AttendPrefill(const Prefill& prefill, int64_t layer, const at::Tensor& q) const;

  KvCache& cache_;
  at::Tensor append_;  // of KvCache::AppendIndex
  std::vector<Prefill> prefills_;
  std::vector<CachedRow> decode_;  // one for each sequence with one row
  at::Tensor decode_rows_;         // int64: their rows; undefined when every row decodes
  bool attend_rows_ = false;       // false: by ATen, with what follows

  // Decode rows by ATen are computed over the slots [first_slot_, first_slot_ + slot_count_).
  int64_t first_slot_ = 0;
  int64_t slot_count_ = 0;
  int64_t longest_ = 0;      // cached tokens of the longest of them, the new one included
  at::Tensor decode_slots_;  // int64, from first_slot_; undefined when 0, 1, 2, ...
  at::Tensor gather_slots_;  // int64 [slot_count_]: slots copied together where they lie far apart
  // 0 or -inf, in the cache's dtype, [slot_count_, 1, 1, longest_]; undefined when all are equally
  // long.
  at::Tensor mask_;
};

}  // namespace attnrl::attention
