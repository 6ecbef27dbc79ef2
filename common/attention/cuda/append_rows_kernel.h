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
    const int64_t angle = int64_t{a.visible[row] - 1} * a.head_dim;
    // Heads of queries come before those of keys.
    const int first = a.q == nullptr ? a.heads * half : 0;
    for (int i = first + cuda::ThreadIndex(); i < (a.heads + a.kv_heads) * half; i += kThreads) {
      const int head = i / half;
      const int d = i % half;
      const T* const from = head < a.heads ? a.q + row * a.q_stride + head * a.head_dim
                                           : a.k + row * a.k_stride + (head - a.heads) * a.head_dim;
      const float low = cuda::ToFloat(from[d]);
      const float high = cuda::ToFloat(from[d + half]);
      if (a.cosine == nullptr) {
        Put(a, row, head, d, low);
        Put(a, row, head, d + half, high);
      } else {
        const float* const cosine = a.cosine + angle + d;
        const float* const sine = a.sine + angle + d;
        Put(a, row, head, d, low * cosine[0] + high * sine[0]);
        Put(a, row, head, d + half, high * cosine[half] + low * sine[half]);
      }
    }
    const RowPlace place = a.places[row];
    for (int i = cuda::ThreadIndex(); i < a.kv_heads * a.head_dim; i += kThreads) {
      const int64_t head = int64_t{place.block} * a.kv_heads + i / a.head_dim;
      a.values[(head * kBlockTokens + place.offset) * a.head_dim + i % a.head_dim] =
          a.v[row * a.v_stride + i];
    }
  }

 private:
  ATTNRL_DEVICE static void Put(const Arguments& a, int64_t row, int head, int d, float x) {
    if (head < a.heads) {
      a.turned[(row * a.heads + head) * a.head_dim + d] = cuda::FromFloat<T>(x);
      return;
    }
    const RowPlace place = a.places[row];
    const int64_t key_head = int64_t{place.block} * a.kv_heads + head - a.heads;
    a.keys[(key_head * a.head_dim + d) * kBlockTokens + place.offset] = cuda::FromFloat<T>(x);
  }
};

}  // namespace attnrl::attention
