// SPDX-License-Identifier: Apache-2.0
#pragma once

// What kernel_body.h does when keys have been met: the sums of segments become those of the whole
// sequence, and these the result. Included by it alone.
#include "common/attention/paged/kernel.h"
#include "common/attention/paged/weigh_body.h"
#include "common/kernels/row_math.h"

namespace attnrl::attention {
namespace {

using kernels::DivideAll;
using kernels::Exp;
using kernels::LoadPart;
using kernels::StorePart;

// x = x * keep + y * add
inline void AddScaled(float* x, const float* y, int64_t n, float keep, float add) {
  const Lanes kept = Lanes::Broadcast(keep);
  const Lanes added = Lanes::Broadcast(add);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Fma(Lanes::Load(y + i), added, Mul(Lanes::Load(x + i), kept)).Store(x + i);
  }
  if (i == n) return;
  StorePart(Fma(LoadPart(y + i, n - i, 0.0F), added, Mul(LoadPart(x + i, n - i, 0.0F), kept)),
            x + i, n - i);
}

inline void Fold(const PagedArguments& a, const TaskChain& chain, int64_t kv_head, int64_t slot) {
  const int64_t repeats = a.heads / a.kv_heads;
  for (int64_t row = chain.first_row; row < chain.first_row + chain.rows; ++row) {
    if (!SeesSegment(a, chain, row)) continue;
    const ScoredRow* const scored = ScoredRowOf(a, row);
    for (int64_t head = kv_head * repeats; head < (kv_head + 1) * repeats; ++head) {
      const int64_t to = row * a.heads + head;
      const int64_t from = to + slot * a.rows * a.heads;
      const float before = a.largest[to];
      const float largest = before > a.largest[from] ? before : a.largest[from];
      float shifts[kLanes] = {before - largest, a.largest[from] - largest};
      Exp(Lanes::Load(shifts)).Store(shifts);
      a.largest[to] = largest;
      AddScaled(a.sum + to, a.sum + from, 1, shifts[0], shifts[1]);
      AddScaled(a.out + to * a.head_dim, a.out + from * a.head_dim, a.head_dim, shifts[0],
                shifts[1]);
      if (scored == nullptr) continue;
      AddScaled(StepsOf(a, *scored, 0, head), StepsOf(a, *scored, slot, head), scored->steps,
                shifts[0], shifts[1]);
    }
  }
}

inline void Finish(const PagedArguments& a, const TaskChain& chain, int64_t kv_head) {
  const int64_t repeats = a.heads / a.kv_heads;
  for (int64_t row = chain.first_row; row < chain.first_row + chain.rows; ++row) {
    const ScoredRow* const scored = ScoredRowOf(a, row);
    for (int64_t head = kv_head * repeats; head < (kv_head + 1) * repeats; ++head) {
      const float sum = a.sum[row * a.heads + head];
      DivideAll(a.out + (row * a.heads + head) * a.head_dim, a.head_dim, sum);
      if (scored == nullptr) continue;
      const float* const steps = StepsOf(a, *scored, 0, head);
      float* const sums = scored->sums + (a.layer * a.heads + head) * scored->stride;
      for (int64_t s = 0; s < scored->steps; ++s) sums[s] += steps[s] / sum;
    }
  }
}

}  // namespace
}  // namespace attnrl::attention
