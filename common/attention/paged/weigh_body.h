// SPDX-License-Identifier: Apache-2.0
#pragma once

// What kernel_body.h does with the scores of one stretch of keys: the online softmax, and the sums
// of the steps that are scored on the way. Included by it alone.
#include "common/attention/paged/kernel.h"
#include "common/kernels/row_math.h"

namespace attnrl::attention {
namespace {

using kernels::kLanes;
using kernels::Lanes;

// Queries that meet a block together, as many as registers hold sums for; and sums beside which
// bfloat16 can be widened.
#if defined(__AVX512F__)
inline constexpr int kQueries = 12;
inline constexpr int kWidenedSums = 12;
#elif defined(__AVX2__)
inline constexpr int kQueries = 6;
inline constexpr int kWidenedSums = 5;
#else
inline constexpr int kQueries = 2;
inline constexpr int kWidenedSums = 2;
#endif
inline constexpr int64_t kBlockLanes = kBlockTokens / kLanes;
inline constexpr float kNoScore = -1e30F;  // below every score

// Some queries of one key head against one stretch of keys.
struct Queries {
  const float* q[kQueries];
  float* out[kQueries];
  float* largest[kQueries];
  float* sum[kQueries];
  int64_t visible[kQueries];              // keys of the stretch that each sees, from the first on
  float weights[kQueries][kBlockTokens];  // scores, then exp(score - largest)
  float factor[kQueries];                 // what the sums so far are multiplied by
  const ScoredRow* scored[kQueries];      // null: the row isn't scored
  float* steps[kQueries];                 // else the sums of its steps' weights so far
  int64_t base;                           // where the stretch begins
};

inline const ScoredRow* ScoredRowOf(const PagedArguments& a, int64_t row) {
  if (a.scored == nullptr || a.scored_of[row] < 0) return nullptr;
  return a.scored + a.scored_of[row];
}

inline bool SeesSegment(const PagedArguments& a, const TaskChain& chain, int64_t row) {
  return a.visible[row] > int64_t{chain.segment} * kSegmentTokens;
}

// The sums of one head's steps in a slot.
inline float* StepsOf(const PagedArguments& a, const ScoredRow& scored, int64_t slot,
                      int64_t head) {
  return scored.scratch + (slot * a.heads + head) * scored.stride;
}

// Adds the weights of a stretch to the steps that they belong to. `whole`: the sum of all.
inline void AddSteps(Queries& queries, int r, float whole) {
  const ScoredRow& row = *queries.scored[r];
  if (row.steps == 0) return;
  float* const steps = queries.steps[r];
  if (queries.factor[r] != 1) {
    for (int64_t s = 0; s < row.steps; ++s) steps[s] *= queries.factor[r];
  }
  const int64_t stretch_end = queries.base + queries.visible[r];
  const int64_t last = row.ends[row.steps - 1];
  int64_t begin = row.first_key > queries.base ? row.first_key : queries.base;
  const int64_t end = last < stretch_end ? last : stretch_end;
  if (begin >= end) return;
  int64_t step = 0;  // the first one that ends after `begin`
  for (int64_t count = row.steps; count > 0;) {
    const int64_t half = count / 2;
    if (row.ends[step + half] <= begin) {
      step += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  for (; begin < end; ++step) {
    const int64_t stop = row.ends[step] < end ? row.ends[step] : end;
    float sum = 0;
    if (stop - begin == kBlockTokens) {
      sum = whole;
    } else {
      for (int64_t key = begin; key < stop; ++key) sum += queries.weights[r][key - queries.base];
    }
    steps[step] += sum;
    begin = stop;
  }
}

// Scores to weights; the sums so far are to be multiplied by `factor`.
inline void Weigh(Queries& queries, int r, float scale) {
  float* const weights = queries.weights[r];
  const int64_t visible = queries.visible[r];
  for (int64_t i = visible; i < kBlockTokens; ++i) weights[i] = kNoScore;
  const float before = *queries.largest[r];
  Lanes scores[kBlockLanes];
  Lanes most = Lanes::Broadcast(before);
  for (int64_t part = 0; part < kBlockLanes; ++part) {
    scores[part] = Mul(Lanes::Load(weights + part * kLanes), Lanes::Broadcast(scale));
    most = Max(most, scores[part]);
  }
  const float largest = kernels::Largest(most);
  Lanes exps[kBlockLanes];
  for (int64_t part = 0; part < kBlockLanes; ++part) {
    exps[part] = Exp(Add(scores[part], Lanes::Broadcast(-largest)));
    exps[part].Store(weights + part * kLanes);
  }
  Lanes total = Lanes::Broadcast(0);
  if (visible < kBlockTokens) {
    for (int64_t i = visible; i < kBlockTokens; ++i) weights[i] = 0;
    for (int64_t part = 0; part < kBlockLanes; ++part) {
      total = Add(total, Lanes::Load(weights + part * kLanes));
    }
  } else {
    for (int64_t part = 0; part < kBlockLanes; ++part) total = Add(total, exps[part]);
  }
  const float whole = Sum(total);
  float factor = 1;  // exp(0) to the bit
  if (before != largest) {
    float each[kLanes];
    Exp(Lanes::Broadcast(before - largest)).Store(each);
    factor = each[0];
    *queries.largest[r] = largest;
  }
  queries.factor[r] = factor;
  *queries.sum[r] = __builtin_fmaf(*queries.sum[r], factor, whole);
  if (queries.scored[r] != nullptr) AddSteps(queries, r, whole);
}

}  // namespace
}  // namespace attnrl::attention
