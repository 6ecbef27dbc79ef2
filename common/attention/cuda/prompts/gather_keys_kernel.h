// SPDX-License-Identifier: Apache-2.0
#pragma once

// A block of threads for each piece and key head, bound by bytes: keys are read as they lie, tokens
// side by side, turned in shared memory, and written in rows of a head as values are.
#include "common/attention/cuda/prompts/gather_keys.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

template <typename T>
struct GatherKeysKernel {
  using Arguments = GatherKeys<T>;
  static constexpr int kThreads = 128;
  // Rows of an odd number of 4 bytes: a warp that writes a column meets every bank once.
  static constexpr int kStride = kMostGatheredHead + 4 / static_cast<int>(sizeof(T));
  struct Shared {
    T keys[kBlockTokens][kStride];
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const GatheredPiece& piece = a.pieces[cuda::BlockX()];
    const int64_t head = cuda::BlockY();
    const int64_t block = (int64_t{piece.block} * a.kv_heads + head) * a.head_dim * kBlockTokens;
    // What lies beside the piece comes along, and is left there.
    for (int i = cuda::ThreadIndex(); i < a.head_dim * kBlockTokens; i += kThreads) {
      shared.keys[i % kBlockTokens][i / kBlockTokens] = a.keys[block + i];
    }
    cuda::SyncBlock();
    const int end = piece.to * a.head_dim;
    for (int i = piece.from * a.head_dim + cuda::ThreadIndex(); i < end; i += kThreads) {
      const int token = i / a.head_dim;
      const int d = i % a.head_dim;
      const int64_t to = (int64_t{piece.row + token} * a.kv_heads + head) * a.head_dim + d;
      a.gathered_k[to] = shared.keys[token][d];
      a.gathered_v[to] = a.values[block + i];
    }
  }
};

}  // namespace attnrl::attention
