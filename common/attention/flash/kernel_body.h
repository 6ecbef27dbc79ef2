// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel of kernel.h over sixteen lanes. Included once by each kernel_<isa>.cc, compiled with
// its flags and without floating-point contraction. Scores lie with a block's keys one after the
// other and its rows side by side, so that what is done for each row is done in lanes.
#include "common/attention/flash/kernel.h"
#include "common/attention/flash/product_body.h"

namespace attnrl::attention {
namespace {

// Scores that are hidden are less than any other by so much.
inline constexpr float kHidden = -1e30F;

// A block of rows and one of keys: which keys any row sees, tile by tile of keys.
struct Pair {
  struct Tile {
    int64_t key, end;   // of the block
    int64_t low, high;  // panels of sixteen rows that see some of them
  };
  int64_t first_row, rows;
  int64_t first_key;
  const int32_t* last;  // of the first key
  int64_t tiles;
  Tile tile[kBlock];

  static bool Sees(const Tile& tile, int64_t panel) {
    return tile.low <= panel && panel < tile.high;
  }
  int64_t panels() const { return (rows + kLanes - 1) / kLanes; }
};

// Whether any of the rows sees any of the keys, which don't begin behind them.
inline bool MakePair(const int32_t* last, int64_t first_row, int64_t end_row, int64_t first_key,
                     int64_t end_key, Pair* pair) {
  pair->first_row = first_row;
  pair->rows = end_row - first_row;
  pair->first_key = first_key;
  pair->last = last + first_key;
  const int64_t keys = end_key - first_key;
  pair->tiles = TilesOf(keys);
  bool any = false;
  for (int64_t t = 0; t < pair->tiles; ++t) {
    Pair::Tile& tile = pair->tile[t];
    tile = {keys * t / pair->tiles, keys * (t + 1) / pair->tiles, 0, 0};
    int64_t high = 0;  // behind the last row that sees one of them
    for (int64_t key = tile.key; key < tile.end; ++key) {
      if (pair->last[key] > high) high = pair->last[key];
    }
    high = high - first_row < pair->rows ? high - first_row : pair->rows;
    const int64_t first = first_key + tile.key - first_row;
    const int64_t low = first > 0 ? first : 0;
    if (low >= high) continue;
    tile.low = low / kLanes;
    tile.high = (high + kLanes - 1) / kLanes;
    any = true;
  }
  return any;
}

// Ones in the lanes [low, high), zeros in the others.
inline Lanes Ones(int64_t low, int64_t high) {
  static constexpr float kSteps[3 * kLanes] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                               1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  const auto inside = [](int64_t lane) { return lane < 0 ? 0 : lane > kLanes ? kLanes : lane; };
  return Mul(Lanes::Load(kSteps + kLanes - inside(low)),
             Lanes::Load(kSteps + 2 * kLanes - inside(high)));
}

// The rows of a panel that see a key: all, or those of `ones`.
struct Seen {
  bool all;
  Lanes ones;
};

inline Seen SeenBy(const Pair& pair, int64_t key, int64_t panel) {
  const int64_t row = pair.first_row + panel * kLanes;
  const int64_t low = pair.first_key + key - row;
  const int64_t high = pair.last[key] - row;
  if (low <= 0 && high >= kLanes) return {true, Lanes::Broadcast(1)};
  return {false, Ones(low, high)};
}

// y [rows, dim] becomes greater by the product of `weights`, turned, and b.
inline void AddKeys(const Pair& pair, const float* weights, const Panels& b, int64_t dim, float* y,
                    int64_t y_stride) {
  const int64_t tiles = TilesOf(pair.rows);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t row = pair.rows * t / tiles;
    const int64_t end = pair.rows * (t + 1) / tiles;
    const auto sees = [&](const Pair::Tile& keys) {
      return keys.low * kLanes < end && keys.high * kLanes > row;
    };
    int64_t first = 0, last = pair.tiles;
    while (first < last && !sees(pair.tile[first])) ++first;
    while (first < last && !sees(pair.tile[last - 1])) --last;
    if (first == last) continue;
    const int64_t key = pair.tile[first].key;
    const int64_t inputs = pair.tile[last - 1].end - key;
    for (int64_t i = 0; i < dim; i += kLanes) {
      TileOf<true>(end - row, weights + key * kBlock + row, kBlock, b.Row(i / kLanes, key), inputs,
                   /*adds=*/true, y + row * y_stride + i, y_stride);
    }
  }
}

// The block's keys in `y` become greater by the product of `weights` and b.
inline void AddRows(const Pair& pair, const float* weights, const Panels& b, int64_t dim,
                    const FlashTarget& y) {
  for (int64_t t = 0; t < pair.tiles; ++t) {
    const Pair::Tile& keys = pair.tile[t];
    if (keys.low == keys.high) continue;
    const int64_t row = keys.low * kLanes;
    const int64_t end = keys.high * kLanes < pair.rows ? keys.high * kLanes : pair.rows;
    for (int64_t i = 0; i < dim; i += kLanes) {
      TileOf<false>(keys.end - keys.key, weights + keys.key * kBlock + row, kBlock,
                    b.Row(i / kLanes, row), end - row, /*adds=*/true,
                    y.Row(pair.first_key + keys.key) + i, y.stride);
    }
  }
}

// A tile of keys times the rows of a panel.
inline void ScoreTile(const FlashRows& keys, const Pair& pair, const Pair::Tile& tile,
                      const Panels& rows, int64_t panel, float* scores) {
  TileOf<false>(tile.end - tile.key, keys.Row(pair.first_key + tile.key), keys.stride,
                rows.Row(panel, 0), rows.rows, /*adds=*/false,
                scores + tile.key * kBlock + panel * kLanes, kBlock);
}

inline void ClearTile(const Pair::Tile& tile, int64_t panel, float* scores) {
  for (int64_t key = tile.key; key < tile.end; ++key) {
    Lanes::Broadcast(0).Store(scores + key * kBlock + panel * kLanes);
  }
}

// What the rows of a block have so far.
struct Running {
  float largest[kBlock], sum[kBlock], factor[kBlock];
  float result[kBlock * kMostDim];  // [rows, dim]
};

// The scores of a panel of rows become weights exp(score - largest); what the rows had is to be
// multiplied by `factor`.
inline void Weigh(const Pair& pair, int64_t panel, float scale, float* scores, Running* running) {
  float* const column = scores + panel * kLanes;
  const Lanes before = Lanes::Load(running->largest + panel * kLanes);
  Lanes largest = Lanes::Broadcast(kHidden);
  for (int64_t t = 0; t < pair.tiles; ++t) {
    const Pair::Tile& tile = pair.tile[t];
    if (!Pair::Sees(tile, panel)) continue;
    for (int64_t key = tile.key; key < tile.end; ++key) {
      Lanes score = Lanes::Load(column + key * kBlock);
      if (const Seen seen = SeenBy(pair, key, panel); !seen.all) {
        score = Add(score, Fma(seen.ones, Lanes::Broadcast(-kHidden), Lanes::Broadcast(kHidden)));
      }
      largest = Max(largest, score);
    }
  }
  largest = Max(before, Mul(largest, Lanes::Broadcast(scale)));
  const Lanes shift = Mul(largest, Lanes::Broadcast(-1));
  const Lanes factor = Exp(Add(before, shift));
  Lanes sum = Mul(Lanes::Load(running->sum + panel * kLanes), factor);
  for (int64_t t = 0; t < pair.tiles; ++t) {
    const Pair::Tile& tile = pair.tile[t];
    if (!Pair::Sees(tile, panel)) {
      ClearTile(tile, panel, scores);
      continue;
    }
    for (int64_t key = tile.key; key < tile.end; ++key) {
      float* const at = column + key * kBlock;
      Lanes weight = Exp(Fma(Lanes::Load(at), Lanes::Broadcast(scale), shift));
      if (const Seen seen = SeenBy(pair, key, panel); !seen.all) weight = Mul(weight, seen.ones);
      weight.Store(at);
      sum = Add(sum, weight);
    }
  }
  largest.Store(running->largest + panel * kLanes);
  sum.Store(running->sum + panel * kLanes);
  factor.Store(running->factor + panel * kLanes);
}

void Forward(const FlashHead& head, int64_t root, int64_t first, int64_t end,
             const FlashTarget& result, float* largest, float* sum) {
  alignas(64) float turned[kMostDim * kBlock], straight[kBlock * kMostDim];
  alignas(64) float scores[kBlock * kBlock];
  alignas(64) Running running;
  const int64_t rows = end - first;
  const int64_t dim = head.dim;
  for (int64_t i = 0; i < kBlock; ++i) {
    running.largest[i] = kHidden;
    running.sum[i] = 0;
  }
  for (int64_t i = 0; i < rows * dim; ++i) running.result[i] = 0;
  const Panels queries = Turn(head.q, first, rows, dim, turned);
  for (int64_t key = root; key < end; key += kBlock) {
    const int64_t end_key = key + kBlock < end ? key + kBlock : end;
    Pair pair;
    if (!MakePair(head.last, first, end, key, end_key, &pair)) continue;
    const Panels values = Straight(head.v, key, end_key - key, dim, straight);
    for (int64_t panel = 0; panel < pair.panels(); ++panel) {
      for (int64_t t = 0; t < pair.tiles; ++t) {
        if (Pair::Sees(pair.tile[t], panel)) {
          ScoreTile(head.k, pair, pair.tile[t], queries, panel, scores);
        }
      }
      Weigh(pair, panel, head.scale, scores, &running);
    }
    for (int64_t row = 0; row < rows; ++row) {
      const Lanes factor = Lanes::Broadcast(running.factor[row]);
      float* const at = running.result + row * dim;
      for (int64_t i = 0; i < dim; i += kLanes) Mul(Lanes::Load(at + i), factor).Store(at + i);
    }
    AddKeys(pair, scores, values, dim, running.result, dim);
  }
  for (int64_t row = 0; row < rows; ++row) {
    largest[row] = running.largest[row];
    sum[row] = running.sum[row];
    const Lanes divisor = Lanes::Broadcast(running.sum[row]);
    float* const target = result.Row(first + row);
    for (int64_t i = 0; i < dim; i += kLanes) {
      Div(Lanes::Load(running.result + row * dim + i), divisor).Store(target + i);
    }
  }
}

// With weights p = exp(score - lse) and their gradient dp, that of the products q k is
// scale p (dp - result gradient).
void Backward(const FlashHead& head, int64_t root, int64_t end, const FlashBack& back,
              const FlashSums& sums) {
  alignas(64) float turned_q[kMostDim * kBlock], turned_gradient[kMostDim * kBlock];
  alignas(64) float straight_q[kBlock * kMostDim], straight_gradient[kBlock * kMostDim];
  alignas(64) float straight_k[kBlock * kMostDim];
  alignas(64) float weights[kBlock * kBlock], slopes[kBlock * kBlock];
  alignas(64) float shift[kBlock] = {}, offset[kBlock] = {};
  const int64_t dim = head.dim;
  const Lanes scale = Lanes::Broadcast(head.scale);
  for (int64_t first = root; first < end; first += kBlock) {
    const int64_t end_row = first + kBlock < end ? first + kBlock : end;
    const int64_t rows = end_row - first;
    const Panels q_turned = Turn(head.q, first, rows, dim, turned_q);
    const Panels gradient_turned = Turn(back.gradient, first, rows, dim, turned_gradient);
    const Panels q = Straight(head.q, first, rows, dim, straight_q);
    const Panels gradient = Straight(back.gradient, first, rows, dim, straight_gradient);
    for (int64_t row = 0; row < rows; ++row) {
      shift[row] = -back.lse[first + row];
      offset[row] =
          -kernels::Dot(back.gradient.Row(first + row), back.result.Row(first + row), dim);
    }
    for (int64_t key = root; key < end_row; key += kBlock) {
      const int64_t end_key = key + kBlock < end_row ? key + kBlock : end_row;
      Pair pair;
      if (!MakePair(head.last, first, end_row, key, end_key, &pair)) continue;
      const Panels keys = Straight(head.k, key, end_key - key, dim, straight_k);
      for (int64_t panel = 0; panel < pair.panels(); ++panel) {
        const Lanes shifts = Lanes::Load(shift + panel * kLanes);
        const Lanes offsets = Lanes::Load(offset + panel * kLanes);
        for (int64_t t = 0; t < pair.tiles; ++t) {
          const Pair::Tile& tile = pair.tile[t];
          if (!Pair::Sees(tile, panel)) {
            ClearTile(tile, panel, slopes);
            continue;
          }
          ScoreTile(head.k, pair, tile, q_turned, panel, weights);
          ScoreTile(head.v, pair, tile, gradient_turned, panel, slopes);
          for (int64_t i = tile.key; i < tile.end; ++i) {
            float* const weight = weights + i * kBlock + panel * kLanes;
            float* const slope = slopes + i * kBlock + panel * kLanes;
            Lanes p = Exp(Fma(Lanes::Load(weight), scale, shifts));
            if (const Seen seen = SeenBy(pair, i, panel); !seen.all) p = Mul(p, seen.ones);
            p.Store(weight);
            Mul(Mul(p, scale), Add(Lanes::Load(slope), offsets)).Store(slope);
          }
        }
      }
      AddRows(pair, weights, gradient, dim, sums.v);
      AddRows(pair, slopes, q, dim, sums.k);
      AddKeys(pair, slopes, keys, dim, sums.q.Row(first), sums.q.stride);
    }
  }
}

}  // namespace
}  // namespace attnrl::attention
