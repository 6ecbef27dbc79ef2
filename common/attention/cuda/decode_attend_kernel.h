// SPDX-License-Identifier: Apache-2.0
#pragma once

// Decoding over a paged cache: a block of threads for each unit and key head leaves the parts of
// its rows, of which DecodeMerge makes results.
//
// Bound by the bytes of keys and values, each of which is read once for all queries of a unit. A
// warp takes a stretch of 32 keys by itself, so that the loop has no barrier: a lane multiplies one
// or two keys (4 bytes side by side, 128 a warp) with all queries, which lie in shared memory
// element by element; weights go through shared memory to the lanes, which hold head_dim / 32
// elements of each query's result in registers and read values in rows of 128 to 512 bytes.
#include "common/attention/cuda/paged_decode.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

inline constexpr float kNoKey = -1e30F;  // below every score

template <typename T, int kHeadDim>
struct DecodeAttend {
  using Arguments = PagedDecode<T>;
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * cuda::kWarp;
  static constexpr int kMost = kDecodeQueries;
  // Keys of a lane while it multiplies, and elements of a result that it holds.
  static constexpr int kKeys = 4 / static_cast<int>(sizeof(T));
  static constexpr int kElements = kHeadDim / cuda::kWarp;

  struct Shared {
    alignas(16) float queries[kHeadDim][kMost];  // times scale and log2(e)
    // Of each warp, for PlaceOf: scores of a stretch, then weights.
    alignas(16) float weights[kWarps][(kBlockTokens + 4) * kMost];
    alignas(16) float factors[kWarps][kMost];
    alignas(16) float out[kMost][kHeadDim];
    float largest[kWarps][kMost];
    float sum[kWarps][kMost];
  };

  ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
    const DecodeUnit& unit = a.units[cuda::BlockX()];
    if (unit.rows == 0) return;  // of a graph's size, beyond the plan's
    // Few queries are the rule: the rows of one sequence alone.
    if (unit.rows * (a.heads / a.kv_heads) <= kMost / 2) {
      Tile<kMost / 2>::Run(a, unit, shared);
    } else {
      Tile<kMost>::Run(a, unit, shared);
    }
  }

 private:
  // Up to kQueries queries, those of a row side by side.
  template <int kQueries>
  struct Tile {
    // When a warp turns scores to weights, each lane has one query and kQueries keys of it.
    static constexpr int kLanesAQuery = cuda::kWarp / kQueries;
    static_assert(kQueries * kLanesAQuery == kBlockTokens && kLanesAQuery <= 4);

    // Where the weights of a key begin. A gap after every kQueries keys puts the lanes that read
    // one query into different banks.
    ATTNRL_DEVICE static int PlaceOf(int key) { return (key + key / kQueries) * kQueries; }

    ATTNRL_DEVICE static void Run(const Arguments& a, const DecodeUnit& unit, Shared& shared) {
      const int repeats = a.heads / a.kv_heads;
      const int queries = unit.rows * repeats;
      LoadQueries(a, unit, queries, shared);
      cuda::SyncBlock();
      Warp warp(a, unit, shared);
      for (int32_t t = cuda::WarpIndex(); t < unit.tasks; t += kWarps) {
        warp.Meet(a.tasks[unit.first_task + t]);
      }
      warp.AddUp(queries);
    }

    ATTNRL_DEVICE static int64_t HeadOf(const Arguments& a, int query) {
      const int repeats = a.heads / a.kv_heads;
      return int64_t{cuda::BlockY()} * repeats + query % repeats;
    }

    // Queries that there are not are zeros: their weights are never used.
    ATTNRL_DEVICE static void LoadQueries(const Arguments& a, const DecodeUnit& unit, int queries,
                                          Shared& shared) {
      const int repeats = a.heads / a.kv_heads;
      for (int i = cuda::ThreadIndex(); i < kQueries * kHeadDim; i += kThreads) {
        const int query = i / kHeadDim;
        const int d = i % kHeadDim;
        float x = 0;
        if (query < queries) {
          const int64_t row = unit.first_row + query / repeats;
          x = cuda::ToFloat(a.q[(row * a.heads + HeadOf(a, query)) * kHeadDim + d]);
        }
        shared.queries[d][query] = x * (a.scale * cuda::kLog2E);
      }
    }

    // What a warp knows of its stretches so far.
    struct Warp {
      const Arguments& a;
      Shared& shared;
      float* const weights;
      const int32_t first_row;
      // Of the query of this lane when it weighs.
      int visible = 0;
      const DecodeScoredRow* scored = nullptr;
      const int32_t* ends = nullptr;
      StepPiece* step_pieces = nullptr;
      float largest = kNoKey;
      float sum = 0;
      // Of all queries.
      float out[kQueries][kElements] = {};

      ATTNRL_DEVICE Warp(const Arguments& arguments, const DecodeUnit& unit, Shared& memory)
          : a(arguments),
            shared(memory),
            weights(memory.weights[cuda::WarpIndex()]),
            first_row(unit.first_row) {
        const int repeats = a.heads / a.kv_heads;
        const int query = cuda::LaneIndex() % kQueries;
        if (query >= unit.rows * repeats) return;
        const int32_t row = first_row + query / repeats;
        visible = a.visible[row];
        if (a.scored == nullptr || a.scored_of[row] < 0) return;
        scored = a.scored + a.scored_of[row];
        ends = a.ends + scored->first_end;
        step_pieces = a.step_pieces + HeadOf(a, query) * a.step_pieces_a_head + scored->first_piece;
      }

      ATTNRL_DEVICE void Meet(const BlockTask& task) {
        Score(task);
        cuda::SyncWarp();
        Weigh(task.base);
        cuda::SyncWarp();
        // The sums of steps need whole queries; few rows are scored.
        if (cuda::LaneIndex() < kQueries && scored != nullptr) AddSteps(task.base);
        AddValues(task);
        cuda::SyncWarp();  // before the next stretch overwrites the weights
      }

      // Dot products of the stretch's keys with all queries. A key that lies beside the pieces was
      // never written, or belongs to another sequence: it counts as 0 and is left out later.
      ATTNRL_DEVICE void Score(const BlockTask& task) {
        constexpr int kLanesAnElement = kBlockTokens / kKeys;
        const int key = cuda::LaneIndex() % kLanesAnElement * kKeys;
        const int first = cuda::LaneIndex() / kLanesAnElement;
        float scores[kKeys][kQueries] = {};
        for (int32_t p = 0; p < task.pieces; ++p) {
          const BlockPiece& piece = a.pieces[task.first_piece + p];
          const T* const keys = a.keys + (int64_t{piece.block} * a.kv_heads + cuda::BlockY()) *
                                             kHeadDim * kBlockTokens;
          for (int d = first; d < kHeadDim; d += kKeys) {
            const auto loaded = cuda::Load<kKeys>(keys + d * kBlockTokens + key);
            for (int k = 0; k < kKeys; ++k) {
              const bool inside = key + k >= piece.from && key + k < piece.to;
              const float x = inside ? cuda::ToFloat(loaded.of[k]) : 0.0F;
              for (int q = 0; q < kQueries; ++q) scores[k][q] += shared.queries[d][q] * x;
            }
          }
        }
        if constexpr (kKeys == 2) {
          // Each half of the warp has half of the elements of two keys, and goes on with one key.
          const bool second = first == 1;
          for (int q = 0; q < kQueries; ++q) {
            const float mine = second ? scores[1][q] : scores[0][q];
            const float other = second ? scores[0][q] : scores[1][q];
            scores[0][q] = mine + cuda::ShuffleXor(other, cuda::kWarp / 2);
          }
        }
        float* const to = weights + PlaceOf(key + first);
        for (int q = 0; q < kQueries; ++q) to[q] = scores[0][q];
      }

      // Scores to weights exp2(score - largest), with which the sums so far are brought in line.
      ATTNRL_DEVICE void Weigh(int32_t base) {
        const int query = cuda::LaneIndex() % kQueries;
        const int first = cuda::LaneIndex() / kQueries * kQueries;
        float* const mine = weights + PlaceOf(first) + query;
        const int seen = visible - base - first;  // of these keys
        float most = largest;
        float scores[kQueries];
        for (int k = 0; k < kQueries; ++k) {
          scores[k] = k < seen ? mine[k * kQueries] : kNoKey;
          most = cuda::Most(most, scores[k]);
        }
        for (int mask = kQueries; mask < cuda::kWarp; mask *= 2) {
          most = cuda::Most(most, cuda::ShuffleXor(most, mask));
        }
        float added = 0;
        for (int k = 0; k < kQueries; ++k) {
          const float weight = k < seen ? cuda::Exp2(scores[k] - most) : 0.0F;
          mine[k * kQueries] = weight;
          added += weight;
        }
        for (int mask = kQueries; mask < cuda::kWarp; mask *= 2) {
          added += cuda::ShuffleXor(added, mask);
        }
        const float factor = cuda::Exp2(largest - most);
        sum = sum * factor + added;
        largest = most;
        if (cuda::LaneIndex() < kQueries) shared.factors[cuda::WarpIndex()][query] = factor;
      }

      // The weights of this lane's query, step by step. The piece of step s in stretch c has place
      // c - (first stretch) + s: one of the two grows from piece to piece.
      ATTNRL_DEVICE void AddSteps(int32_t base) {
        if (scored->steps == 0) return;
        const int32_t last = ends[scored->steps - 1];
        int32_t key = cuda::Most(scored->first_key, base);
        const int32_t end = cuda::Least(last, base + kBlockTokens);
        if (key >= end) return;
        int32_t step = 0;  // the first one that ends after `key`
        for (int32_t count = scored->steps; count > 0;) {
          const int32_t half = count / 2;
          if (ends[step + half] <= key) {
            step += half + 1;
            count -= half + 1;
          } else {
            count = half;
          }
        }
        StepPiece* const to = step_pieces + base / kBlockTokens - scored->first_key / kBlockTokens;
        for (; key < end; ++step) {
          const int32_t stop = cuda::Least(ends[step], end);
          float weight = 0;
          for (; key < stop; ++key) weight += weights[PlaceOf(key - base) + cuda::LaneIndex()];
          to[step] = {weight, largest};
        }
      }

      ATTNRL_DEVICE void AddValues(const BlockTask& task) {
        const float* const factors = shared.factors[cuda::WarpIndex()];
        for (int q = 0; q < kQueries; ++q) {
          for (int e = 0; e < kElements; ++e) out[q][e] *= factors[q];
        }
        for (int32_t p = 0; p < task.pieces; ++p) {
          const BlockPiece& piece = a.pieces[task.first_piece + p];
          const T* const values =
              a.values +
              (int64_t{piece.block} * a.kv_heads + cuda::BlockY()) * kHeadDim * kBlockTokens +
              cuda::LaneIndex() * kElements;
          for (int key = piece.from; key < piece.to; ++key) {
            const auto value = cuda::Load<kElements>(values + key * kHeadDim);
            const float* const weight = weights + PlaceOf(key);
            for (int q = 0; q < kQueries; ++q) {
              for (int e = 0; e < kElements; ++e) {
                out[q][e] += weight[q] * cuda::ToFloat(value.of[e]);
              }
            }
          }
        }
      }

      // The sums of all warps become the parts of the unit, in the order of the warps.
      ATTNRL_DEVICE void AddUp(int queries) {
        if (cuda::LaneIndex() < kQueries) {
          shared.largest[cuda::WarpIndex()][cuda::LaneIndex()] = largest;
          shared.sum[cuda::WarpIndex()][cuda::LaneIndex()] = sum;
        }
        cuda::SyncBlock();
        for (int warp = 0; warp < kWarps; ++warp) {
          if (cuda::WarpIndex() == warp) {
            for (int q = 0; q < kQueries; ++q) {
              const float factor = cuda::Exp2(shared.largest[warp][q] - LargestOf(q));
              float* const to = &shared.out[q][cuda::LaneIndex() * kElements];
              for (int e = 0; e < kElements; ++e) {
                to[e] = out[q][e] * factor + (warp == 0 ? 0.0F : to[e]);
              }
            }
          }
          cuda::SyncBlock();
        }
        const int repeats = a.heads / a.kv_heads;
        const int32_t first_part = a.units[cuda::BlockX()].first_part;
        for (int i = cuda::ThreadIndex(); i < queries * kHeadDim; i += kThreads) {
          const int q = i / kHeadDim;
          const int64_t to = int64_t{first_part + q / repeats} * a.heads + HeadOf(a, q);
          a.part_out[to * kHeadDim + i % kHeadDim] = shared.out[q][i % kHeadDim];
          if (i % kHeadDim != 0) continue;
          float total = 0;
          for (int warp = 0; warp < kWarps; ++warp) {
            total += shared.sum[warp][q] * cuda::Exp2(shared.largest[warp][q] - LargestOf(q));
          }
          a.part_largest[to] = LargestOf(q);
          a.part_sum[to] = total;
        }
      }

      ATTNRL_DEVICE float LargestOf(int query) const {
        float most = kNoKey;
        for (int warp = 0; warp < kWarps; ++warp) {
          most = cuda::Most(most, shared.largest[warp][query]);
        }
        return most;
      }
    };
  };
};

}  // namespace attnrl::attention
