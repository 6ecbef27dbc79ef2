// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel of kernel.h over the sixteen lanes of common/kernels. Included once by each
// kernel_<isa>.cc, compiled with its flags and without floating-point contraction.
#include "common/attention/fci/kernel.h"
#include "common/kernels/lanes.h"

namespace attnrl::attention {
namespace {

using kernels::Lanes;

inline constexpr int64_t kLane = 16;
inline constexpr int kVectors = kFciQueries / kLane;
// Keys, or elements of head_dim, whose sums are in registers at a time: as many as there is room
// for. The size of the tile decides the speed alone.
#if defined(__AVX512F__)
inline constexpr int kRows = 8;
#elif defined(__AVX2__)
inline constexpr int kRows = 3;
#else
inline constexpr int kRows = 1;
#endif

// One value a query of the block.
struct Queries {
  Lanes v[kVectors];
  static Queries Broadcast(float x) {
    Queries r;
    for (Lanes& lanes : r.v) lanes = Lanes::Broadcast(x);
    return r;
  }
  static Queries Load(const float* p) {
    Queries r;
    for (int i = 0; i < kVectors; ++i) r.v[i] = Lanes::Load(p + i * kLane);
    return r;
  }
  void Store(float* p) const {
    for (int i = 0; i < kVectors; ++i) v[i].Store(p + i * kLane);
  }
};

// 2^x within about 2e-7 of itself, 0 where it is below the smallest normal number: x = n + r with
// |r| <= 1/2, and the polynomial through the Chebyshev nodes for 2^r.
inline Lanes Exp2(Lanes x) {
  x = Max(x, Lanes::Broadcast(-127.0F));
  const Lanes n = Round(x);
  const Lanes r = Fma(n, Lanes::Broadcast(-1.0F), x);
  Lanes p = Lanes::Broadcast(1.3390863364e-3F);
  p = Fma(p, r, Lanes::Broadcast(9.6760319184e-3F));
  p = Fma(p, r, Lanes::Broadcast(5.5503571142e-2F));
  p = Fma(p, r, Lanes::Broadcast(2.4022107485e-1F));
  p = Fma(p, r, Lanes::Broadcast(6.9314718803e-1F));
  p = Fma(p, r, Lanes::Broadcast(1.0F));
  return Mul(p, PowerOfTwo(n));
}

// sums[row] += sum over i < n of a[row * row_stride + i * stride] * b[i] for `Rows` rows, each its
// own chain from first to last; b [n] values a query.
template <int Rows>
inline void MultiplyRows(const float* a, int64_t row_stride, int64_t stride, const float* b,
                         int64_t n, Queries* sums) {
  Queries local[Rows];
  for (int r = 0; r < Rows; ++r) local[r] = sums[r];
  for (int64_t i = 0; i < n; ++i, a += stride, b += kFciQueries) {
    const Queries right = Queries::Load(b);
    for (int r = 0; r < Rows; ++r) {
      const Lanes left = Lanes::Broadcast(a[r * row_stride]);
      for (int v = 0; v < kVectors; ++v) local[r].v[v] = Fma(left, right.v[v], local[r].v[v]);
    }
  }
  for (int r = 0; r < Rows; ++r) sums[r] = local[r];
}

// The parts of FciBlock::scratch.
struct Scratch {
  float* queries;     // [head_dim] values a query: q * scale * log2(e), transposed
  float* outputs;     // [head_dim]: not yet divided by the sum of the row
  float* tile;        // [kFciKeys]: scores, then probabilities times a factor of the row
  float* piece_sums;  // [pieces]: sums of the latter, relative to tile_max
  float* tile_max;    // [tiles]: what was subtracted from the scores of a tile
};

struct Softmax {
  Queries max = Queries::Broadcast(-1e30F);
  Queries sum = Queries::Broadcast(0);
};

// The keys [first, end) of a tile.
struct Tile {
  int64_t index = 0;
  int64_t first = 0;
  int64_t end = 0;
};

template <int Rows>
inline void ScoreKeys(const FciBlock& block, int64_t key, const float* queries, float* scores) {
  Queries sums[Rows];
  for (Queries& sum : sums) sum = Queries::Broadcast(0);
  MultiplyRows<Rows>(block.k + key * block.k_stride, block.k_stride, 1, queries, block.head_dim,
                     sums);
  for (int r = 0; r < Rows; ++r) sums[r].Store(scores + r * kFciQueries);
}

// Scores of a tile, far below all others where the key lies after the query.
inline void Scores(const FciBlock& block, const Tile& tile, const Scratch& scratch) {
  int64_t key = tile.first;
  float* scores = scratch.tile;
  for (; key + kRows <= tile.end; key += kRows, scores += kRows * kFciQueries) {
    ScoreKeys<kRows>(block, key, scratch.queries, scores);
  }
  for (; key < tile.end; ++key, scores += kFciQueries) {
    ScoreKeys<1>(block, key, scratch.queries, scores);
  }
  // Finite, unlike -inf, so that no difference of scores is NaN; its power of two is 0 as well.
  const int64_t first_query = block.block * kFciQueries;
  for (key = first_query + 1 > tile.first ? first_query + 1 : tile.first; key < tile.end; ++key) {
    float* row = scratch.tile + (key - tile.first) * kFciQueries;
    for (int64_t i = 0; i < key - first_query && i < kFciQueries; ++i) row[i] = -1e30F;
  }
}

// Scores of a tile -> probabilities relative to the new maximum, and their sums by piece. Returns
// what the outputs so far are to be multiplied with.
inline Queries Probabilities(const FciBlock& block, const Tile& tile, const Scratch& scratch,
                             Softmax* softmax) {
  const int64_t keys = tile.end - tile.first;
  Queries max = softmax->max;
  for (int64_t i = 0; i < keys; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      max.v[v] = Max(max.v[v], Lanes::Load(scratch.tile + i * kFciQueries + v * kLane));
    }
  }
  Queries negative;
  Queries rescale;
  for (int v = 0; v < kVectors; ++v) {
    negative.v[v] = Mul(max.v[v], Lanes::Broadcast(-1));
    rescale.v[v] = Exp2(Add(softmax->max.v[v], negative.v[v]));
  }
  max.Store(scratch.tile_max + tile.index * kFciQueries);

  // A piece is summed while its probabilities are in registers. Its sum stays relative to the
  // maximum of this tile, which is kept with it: rescaling all earlier pieces tile by tile would
  // read them again and again, where AddSums needs one factor a tile.
  const FciPlan& plan = *block.plan;
  Queries total = Queries::Broadcast(0);
  const FciPiece* pieces = plan.pieces().data();
  for (int64_t p = plan.first_piece(tile.index); p < plan.first_piece(tile.index + 1); ++p) {
    Queries sum = Queries::Broadcast(0);
    const int64_t end = pieces[p].end < tile.end ? pieces[p].end : tile.end;
    for (int64_t key = pieces[p].begin; key < end; ++key) {
      float* row = scratch.tile + (key - tile.first) * kFciQueries;
      for (int v = 0; v < kVectors; ++v) {
        const Lanes e = Exp2(Add(Lanes::Load(row + v * kLane), negative.v[v]));
        e.Store(row + v * kLane);
        sum.v[v] = Add(sum.v[v], e);
      }
    }
    sum.Store(scratch.piece_sums + p * kFciQueries);
    for (int v = 0; v < kVectors; ++v) total.v[v] = Add(total.v[v], sum.v[v]);
  }
  softmax->max = max;
  for (int v = 0; v < kVectors; ++v) {
    softmax->sum.v[v] = Fma(softmax->sum.v[v], rescale.v[v], total.v[v]);
  }
  return rescale;
}

template <int Rows>
inline void AddOutputs(const FciBlock& block, const Tile& tile, const Scratch& scratch,
                       const Queries& rescale, int64_t element) {
  Queries sums[Rows];
  float* target = scratch.outputs + element * kFciQueries;
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sums[r].v[v] = Mul(Lanes::Load(target + r * kFciQueries + v * kLane), rescale.v[v]);
    }
  }
  MultiplyRows<Rows>(block.v + tile.first * block.v_stride + element, 1, block.v_stride,
                     scratch.tile, tile.end - tile.first, sums);
  for (int r = 0; r < Rows; ++r) sums[r].Store(target + r * kFciQueries);
}

// outputs = outputs * rescale + the tile's values weighted with its probabilities.
inline void Outputs(const FciBlock& block, const Tile& tile, const Scratch& scratch,
                    const Queries& rescale) {
  int64_t element = 0;
  for (; element + kRows <= block.head_dim; element += kRows) {
    AddOutputs<kRows>(block, tile, scratch, rescale, element);
  }
  for (; element < block.head_dim; ++element) {
    AddOutputs<1>(block, tile, scratch, rescale, element);
  }
}

// The sums by piece, each query divided by its softmax sum and its step's size, added over the
// queries that count.
inline void AddSums(const FciBlock& block, int64_t tiles, const Scratch& scratch,
                    const Softmax& softmax, const Queries& inverse) {
  const FciPlan& plan = *block.plan;
  const int64_t first_query = block.block * kFciQueries;
  const Queries share = Queries::Load(plan.query_share() + first_query);
  const FciPiece* pieces = plan.pieces().data();
  for (int64_t t = 0; t < tiles; ++t) {
    float factors[kFciQueries];
    for (int v = 0; v < kVectors; ++v) {
      const Lanes shift = Mul(softmax.max.v[v], Lanes::Broadcast(-1));
      const Lanes max = Lanes::Load(scratch.tile_max + t * kFciQueries + v * kLane);
      Mul(Mul(Exp2(Add(max, shift)), inverse.v[v]), share.v[v]).Store(factors + v * kLane);
    }
    // Steps and queries both ascend, so queries that no longer count drop out from the front.
    int64_t zeroed = 0;
    for (int64_t p = plan.first_piece(t); p < plan.first_piece(t + 1); ++p) {
      // Later steps are attended to by later queries alone: once none counts, none does further on.
      const int64_t counts_from = plan.first_query(pieces[p].step) - first_query;
      if (counts_from >= kFciQueries) return;
      for (; zeroed < counts_from; ++zeroed) factors[zeroed] = 0;
      Lanes sum = Lanes::Broadcast(0);
      for (int v = 0; v < kVectors; ++v) {
        sum = Fma(Lanes::Load(scratch.piece_sums + p * kFciQueries + v * kLane),
                  Lanes::Load(factors + v * kLane), sum);
      }
      block.sums[pieces[p].step] += static_cast<double>(Sum(sum));
    }
  }
}

inline void TransposeQueries(const FciBlock& block, int64_t count, float* queries) {
  const float scale = block.scale * 1.44269504088896341F;
  const float* q = block.q + block.block * kFciQueries * block.q_stride;
  for (int64_t d = 0; d < block.head_dim; ++d) {
    float* row = queries + d * kFciQueries;
    for (int64_t i = 0; i < count; ++i) row[i] = q[i * block.q_stride + d] * scale;
    for (int64_t i = count; i < kFciQueries; ++i) row[i] = 0;
  }
}

inline void WriteOutputs(const FciBlock& block, int64_t count, const Queries& inverse,
                         float* outputs) {
  for (int64_t d = 0; d < block.head_dim; ++d) {
    float* row = outputs + d * kFciQueries;
    for (int v = 0; v < kVectors; ++v) {
      Mul(Lanes::Load(row + v * kLane), inverse.v[v]).Store(row + v * kLane);
    }
  }
  float* out = block.out + block.block * kFciQueries * block.out_stride;
  for (int64_t i = 0; i < count; ++i, out += block.out_stride) {
    for (int64_t d = 0; d < block.head_dim; ++d) out[d] = outputs[d * kFciQueries + i];
  }
}

inline void RunBlock(const FciBlock& block) {
  const FciPlan& plan = *block.plan;
  const int64_t first = block.block * kFciQueries;
  const int64_t left = plan.rows() - first;
  const int64_t count = left < kFciQueries ? left : kFciQueries;
  const int64_t end = first + count;  // of the keys that some query sees
  Scratch scratch{};
  scratch.queries = block.scratch;
  scratch.outputs = scratch.queries + block.head_dim * kFciQueries;
  scratch.tile = scratch.outputs + block.head_dim * kFciQueries;
  scratch.tile_max = scratch.tile + kFciKeys * kFciQueries;
  scratch.piece_sums = scratch.tile_max + plan.tiles() * kFciQueries;

  // Queries in the lanes: a key or a value is read once for all of the block, and a query past the
  // end of the sequence is a lane of zeros without a share.
  TransposeQueries(block, count, scratch.queries);
  for (int64_t i = 0; i < block.head_dim * kFciQueries; ++i) scratch.outputs[i] = 0;
  Softmax softmax;
  int64_t tiles = 0;
  for (; tiles * kFciKeys < end; ++tiles) {
    const int64_t key = tiles * kFciKeys;
    const Tile tile = {
        .index = tiles, .first = key, .end = key + kFciKeys < end ? key + kFciKeys : end};
    Scores(block, tile, scratch);
    const Queries rescale = Probabilities(block, tile, scratch, &softmax);
    if (block.out != nullptr) Outputs(block, tile, scratch, rescale);
  }
  Queries inverse;
  for (int v = 0; v < kVectors; ++v) {
    inverse.v[v] = Div(Lanes::Broadcast(1), softmax.sum.v[v]);
  }
  if (block.out != nullptr) WriteOutputs(block, count, inverse, scratch.outputs);
  AddSums(block, tiles, scratch, softmax, inverse);
}

}  // namespace
}  // namespace attnrl::attention
