// SPDX-License-Identifier: Apache-2.0
#pragma once

// A block of threads for each row; a thread turns elements d and d + head_dim / 2 of a head, which
// depend on each other. Some kilobytes a row: latency, not bandwidth, is what it costs. A key's
// elements go to lines of their own, where those of its neighbours in the block will lie.
#include "common/attention/cuda/append_rows.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

template <typename T>
struct AppendRowsKernel {
  using Arguments = AppendRows<T>;
  static constexpr int kThreads = 128;
  struct Shared {};

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    const int64_t row = cuda::BlockX();
    const int half = a.head_dim / 2;
    const T* const projected = a.projected + row * (a.heads + 2 * a.kv_heads) * a.head_dim;
    const int64_t angle = int64_t{a.visible[row] - 1} * a.head_dim;
    for (int i = cuda::ThreadIndex(); i < (a.heads + a.kv_heads) * half; i += kThreads) {
      const int head = i / half;
      const int d = i % half;
      const float low = cuda::ToFloat(projected[head * a.head_dim + d]);
      const float high = cuda::ToFloat(projected[head * a.head_dim + d + half]);
      PutTurned(a, row, head, d, low * a.cosine[angle + d] + high * a.sine[angle + d]);
      PutTurned(a, row, head, d + half,
                high * a.cosine[angle + d + half] + low * a.sine[angle + d + half]);
    }
    const RowPlace place = a.places[row];
    const T* const values = projected + (a.heads + a.kv_heads) * a.head_dim;
    for (int i = cuda::ThreadIndex(); i < a.kv_heads * a.head_dim; i += kThreads) {
      const int64_t head = int64_t{place.block} * a.kv_heads + i / a.head_dim;
      a.values[(head * kBlockTokens + place.offset) * a.head_dim + i % a.head_dim] = values[i];
    }
  }

 private:
  // Heads of queries come before those of keys.
  ATTNRL_DEVICE static void PutTurned(const Arguments& a, int64_t row, int head, int d, float x) {
    if (head < a.heads) {
      a.q[(row * a.heads + head) * a.head_dim + d] = cuda::FromFloat<T>(x);
      return;
    }
    const RowPlace place = a.places[row];
    const int64_t key_head = int64_t{place.block} * a.kv_heads + head - a.heads;
    a.keys[(key_head * a.head_dim + d) * kBlockTokens + place.offset] = cuda::FromFloat<T>(x);
  }
};

}  // namespace attnrl::attention
