// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel of kernels.h over the sixteen lanes of lanes.h. Included once by each
// kernels_<isa>.cc, compiled with its flags and without floating-point contraction: where a
// multiply-add is fused, the source says so.
#include "common/attention/fixed_order/kernels.h"
#include "common/attention/fixed_order/lanes.h"
#include "common/attention/fixed_order/rows.h"

namespace attnrl::attention {
namespace {

// scores[t] = q . keys[t] * scale. Sixteen keys at a time, so that their lanes are added up
// together.
template <typename T>
void Scores(const float* q, const T* keys, int64_t tokens, int64_t stride, int64_t n, float scale,
            float* scores) {
  // SumEach adds the lanes of each sum as Sum does, so both loops give a key the same bits.
  int64_t t = 0;
  for (; n % kLanes == 0 && t + kLanes <= tokens; t += kLanes, keys += kLanes * stride) {
    Lanes sums[kLanes];
    for (int64_t j = 0; j < kLanes; ++j) {
      sums[j] = Lanes::Broadcast(0);
      for (int64_t i = 0; i < n; i += kLanes) {
        sums[j] = Fma(Lanes::Load(q + i), Lanes::Load(keys + j * stride + i), sums[j]);
      }
    }
    Mul(SumEach(sums), Lanes::Broadcast(scale)).Store(scores + t);
  }
  for (; t < tokens; ++t, keys += stride) scores[t] = Dot(q, keys, n) * scale;
}

// Adds to Blocks * 16 elements of the weighted sums of Heads heads that read the same values; their
// weights lie `weights_stride` apart, their sums n. As many chains of additions side by side as
// hide their latency.
template <int Heads, int Blocks, typename T>
void AddWeighted(const float* weights, int64_t weights_stride, const T* values, int64_t tokens,
                 int64_t stride, int64_t n, float* out) {
  Lanes sums[Heads][Blocks];
  for (int h = 0; h < Heads; ++h) {
    for (int b = 0; b < Blocks; ++b) sums[h][b] = Lanes::Load(out + h * n + b * kLanes);
  }
  for (int64_t t = 0; t < tokens; ++t, values += stride) {
    Lanes value[Blocks];
    for (int b = 0; b < Blocks; ++b) value[b] = Lanes::Load(values + b * kLanes);
    for (int h = 0; h < Heads; ++h) {
      const Lanes weight = Lanes::Broadcast(weights[h * weights_stride + t]);
      for (int b = 0; b < Blocks; ++b) sums[h][b] = Fma(weight, value[b], sums[h][b]);
    }
  }
  for (int h = 0; h < Heads; ++h) {
    for (int b = 0; b < Blocks; ++b) sums[h][b].Store(out + h * n + b * kLanes);
  }
}

// The last `count` < 16 elements, of one head.
template <typename T>
void AddWeightedPart(const float* weights, const T* values, int64_t tokens, int64_t stride,
                     int64_t count, float* out) {
  Lanes sum = LoadPart(out, count, 0.0F);
  for (int64_t t = 0; t < tokens; ++t, values += stride) {
    sum = Fma(Lanes::Broadcast(weights[t]), LoadPart(values, count, T{0}), sum);
  }
  StorePart(sum, out, count);
}

// All elements of Heads heads.
template <int Heads, typename T>
void AddWeightedHeads(const float* weights, int64_t weights_stride, const T* values, int64_t tokens,
                      int64_t stride, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    AddWeighted<Heads, 4>(weights, weights_stride, values + i, tokens, stride, n, out + i);
  }
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    AddWeighted<Heads, 2>(weights, weights_stride, values + i, tokens, stride, n, out + i);
  }
  for (; i + kLanes <= n; i += kLanes) {
    AddWeighted<Heads, 1>(weights, weights_stride, values + i, tokens, stride, n, out + i);
  }
  for (int h = 0; i < n && h < Heads; ++h) {
    AddWeightedPart(weights + h * weights_stride, values + i, tokens, stride, n - i,
                    out + h * n + i);
  }
}

// Keys and values come from far memory and are read once, front to back, all heads of some tokens
// before the next.
template <typename T>
void AttendOf(const AttendArguments& a, const T* keys, const T* values) {
  // Three passes instead of an online softmax: nothing is rescaled, so every sum has one order that
  // the number of tokens alone decides. Blocks bring all heads of some tokens into the cache at
  // once; a weighted sum goes on from what the block before left in `out`.
  constexpr int64_t kBlock = 4 * kLanes;
  const int64_t n = a.head_dim;
  const int64_t stride = a.kv_heads * n;
  const int64_t repeats = a.heads / a.kv_heads;
  for (int64_t t = 0; t < a.tokens; t += kBlock) {
    const int64_t count = a.tokens - t < kBlock ? a.tokens - t : kBlock;
    for (int64_t head = 0; head < a.heads; ++head) {
      Scores(a.q + head * n, keys + t * stride + head / repeats * n, count, stride, n, a.scale,
             a.scratch + head * a.tokens + t);
    }
  }
  for (int64_t head = 0; head < a.heads; ++head) {
    float* scores = a.scratch + head * a.tokens;
    DivideAll(scores, a.tokens, ExpSum(scores, a.tokens, MaxOf(scores, a.tokens), scores));
  }
  for (int64_t i = 0; i < a.heads * n; ++i) a.out[i] = 0;
  for (int64_t t = 0; t < a.tokens; t += kBlock) {
    const int64_t count = a.tokens - t < kBlock ? a.tokens - t : kBlock;
    for (int64_t head = 0; head < a.heads;) {
      const float* weights = a.scratch + head * a.tokens + t;
      const T* value = values + t * stride + head / repeats * n;
      float* out = a.out + head * n;
      const bool two = head % repeats + 2 <= repeats;
      if (two) {
        AddWeightedHeads<2>(weights, a.tokens, value, count, stride, n, out);
      } else {
        AddWeightedHeads<1>(weights, a.tokens, value, count, stride, n, out);
      }
      head += two ? 2 : 1;
    }
  }
}

void Attend(const AttendArguments& a) {
  if (a.keys != nullptr) {
    AttendOf(a, a.keys, a.values);
  } else {
    AttendOf(a, a.keys_bfloat16, a.values_bfloat16);
  }
}

constexpr FixedOrderKernels kKernels = {kIsa, Attend};

}  // namespace
}  // namespace attnrl::attention
