// SPDX-License-Identifier: Apache-2.0
#pragma once

// FCI of whole sequences in tiles of 64 keys by 64 queries: never a T x T matrix, no addition
// whose order is open, nothing brought to the host between layers.
//
// Bound by multiply-adds, half of those of the layer's attention. A block of threads holds its keys
// in shared memory and walks the queries after them, 32 elements at a time; a thread has 4 x 4
// scores, for which it reads two times 16 bytes of shared memory an element. Rows are read 16 bytes
// a lane: half of each sector, the other half of which is read next, from the first-level cache.
#include "common/attention/cuda/fci_pass.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

// What the queries that count pay to each key of tile x, weighted with 1 / size of their step, for
// query head y.
template <typename T, int kHeadDim>
struct FciColumns {
  using Arguments = FciPass<T>;
  static constexpr int kThreads = 256;
  static constexpr int kDepth = 32;  // elements of queries in shared memory
  static constexpr int kEach = 4;    // keys and queries of a thread
  static constexpr int kAcross = kFciTile / kEach;
  static_assert(kThreads == kAcross * kAcross && kHeadDim % kDepth == 0);

  struct Shared {
    alignas(16) float keys[kHeadDim][kFciTile];
    alignas(16) float queries[kDepth][kFciTile];
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const FciTile tile = a.tiles[cuda::BlockX()];
    const int64_t head = cuda::BlockY();
    const int64_t kv_head = head / (a.heads / a.kv_heads);
    const int key = cuda::ThreadIndex() / kAcross * kEach;
    const int query = cuda::ThreadIndex() % kAcross * kEach;
    Fetch<kHeadDim>(a.k + kv_head * kHeadDim, int64_t{a.kv_heads} * kHeadDim, tile.first_key,
                    tile.keys, shared.keys);
    int32_t counts_from[kEach];
    double paid[kEach] = {};
    for (int i = 0; i < kEach; ++i) {
      counts_from[i] = key + i < tile.keys ? a.first_query[tile.first_key + key + i] : tile.end;
    }
    for (int32_t first = tile.first_query; first < tile.end; first += kFciTile) {
      float scores[kEach][kEach] = {};
      for (int d = 0; d < kHeadDim; d += kDepth) {
        Fetch<kDepth>(a.q + head * kHeadDim + d, int64_t{a.heads} * kHeadDim, first,
                      cuda::Least(kFciTile, tile.end - first), shared.queries);
        cuda::SyncBlock();
        Multiply(&shared.keys[d][key], &shared.queries[0][query], scores);
        cuda::SyncBlock();
      }
      Pay(a, head, first + query, tile.end, scores, counts_from, paid);
    }
    for (int i = 0; i < kEach; ++i) {
      for (int mask = kAcross / 2; mask > 0; mask /= 2) {
        paid[i] += cuda::ShuffleXor(paid[i], mask);
      }
      if (query == 0 && key + i < tile.keys) {
        a.columns[head * a.rows + tile.first_key + key + i] = paid[i];
      }
    }
  }

 private:
  // kElements of some rows, turned: element by element, zeros for rows that there are not.
  // Neighbouring threads have neighbouring rows, so that they write to different banks.
  template <int kElements>
  ATTNRL_DEVICE static void Fetch(const T* from, int64_t stride, int64_t first_row, int32_t rows,
                                  float (&to)[kElements][kFciTile]) {
    constexpr int kAtOnce = cuda::kSixteenBytes<T>;
    for (int i = cuda::ThreadIndex(); i < kFciTile * kElements / kAtOnce; i += kThreads) {
      const int row = i % kFciTile;
      const int element = i / kFciTile * kAtOnce;
      if (row < rows) {
        const auto loaded = cuda::Load<kAtOnce>(from + (first_row + row) * stride + element);
        for (int e = 0; e < kAtOnce; ++e) to[element + e][row] = cuda::ToFloat(loaded.of[e]);
      } else {
        for (int e = 0; e < kAtOnce; ++e) to[element + e][row] = 0;
      }
    }
  }

  // Dot products over kDepth elements of the thread's keys and queries.
  ATTNRL_DEVICE static void Multiply(const float* keys, const float* queries,
                                     float (&scores)[kEach][kEach]) {
    for (int d = 0; d < kDepth; ++d) {
      const auto k = cuda::Load<kEach>(keys + d * kFciTile);
      const auto q = cuda::Load<kEach>(queries + d * kFciTile);
      for (int i = 0; i < kEach; ++i) {
        for (int j = 0; j < kEach; ++j) scores[i][j] += k.of[i] * q.of[j];
      }
    }
  }

  // Adds the probabilities of queries [query, query + kEach) that count.
  ATTNRL_DEVICE static void Pay(const Arguments& a, int64_t head, int32_t query, int32_t end,
                                const float (&scores)[kEach][kEach],
                                const int32_t (&counts_from)[kEach], double (&paid)[kEach]) {
    float sums[kEach] = {};
    for (int j = 0; j < kEach && query + j < end; ++j) {
      const float shift = a.lse[(query + j) * int64_t{a.heads} + head] * cuda::kLog2E;
      const float share = a.share[query + j];
      for (int i = 0; i < kEach; ++i) {
        const float p = cuda::Exp2(scores[i][j] * (a.scale * cuda::kLog2E) - shift);
        if (query + j >= counts_from[i]) sums[i] += p * share;
      }
    }
    for (int i = 0; i < kEach; ++i) paid[i] += sums[i];
  }
};

// A warp for each step: the mean over its keys of what they are paid, and of the heads' means the
// largest.
template <typename T>
struct FciScores {
  using Arguments = FciPass<T>;
  struct Shared {};
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * cuda::kWarp;

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared&) {
    const int32_t index = cuda::BlockX() * kWarps + cuda::WarpIndex();
    if (index >= a.step_count) return;  // the whole warp
    const FciStep step = a.steps[index];
    float most = 0;
    for (int32_t head = 0; head < a.heads; ++head) {
      double paid = 0;
      for (int32_t key = cuda::LaneIndex(); key < step.keys; key += cuda::kWarp) {
        paid += a.columns[head * a.rows + step.first_key + key];
      }
      most = cuda::Most(most, static_cast<float>(cuda::WarpSum(paid) / step.keys));
    }
    if (cuda::LaneIndex() == 0) a.scores[step.score] = cuda::Most(a.scores[step.score], most);
  }
};

}  // namespace attnrl::attention
