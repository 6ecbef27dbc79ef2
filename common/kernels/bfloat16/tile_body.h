// SPDX-License-Identifier: Apache-2.0
#pragma once

// Products in tiles of up to 16 rows, 16 outputs and 32 inputs. Included after the instructions,
// amx_tiles.h or the tests'.
#include "common/kernels/bfloat16/bfloat16_kernels.h"

namespace attnrl::kernels {
namespace {

inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kTilePairs = 16;
inline constexpr int64_t kTileOutputs = 16;
inline constexpr int64_t kTileWords = kTilePairs * kTileOutputs;
// Pairs of one block of a panel where several tiles of rows read it: of two panels 32 KiB, which
// stay in the first cache while rows pass by.
inline constexpr int64_t kTileBlock = 256;
// Words of the rows that stay in the second cache while all panels pass by.
inline constexpr int64_t kTileRowsBlockWords = int64_t{1} << 17;

// Where a tile of rows comes from and its sums go.
struct RowTile {
  const uint32_t* x;
  float* y;
  int64_t y_stride;
};

struct TileBlock {
  RowTile rows[2];
  int64_t x_stride;
  const uint32_t* panels;
  int64_t panel_stride;  // words from a panel to the next
  int64_t pairs;
  const char* ahead;  // fetched meanwhile, `ahead_step` bytes of each panel a step; or null
  int64_t ahead_step;
  const float* bias;  // of the first output
  bool resume;        // the sums go on from what is in y
};

constexpr int64_t Bytes(int64_t words) { return words * 4; }

// Tile t of the sums is row tile t / kPanels by panel t % kPanels.
template <int kTile, int kTiles, int kPanels>
void BeginSums(const TileBlock& a) {
  if constexpr (kTile < kTiles) {
    const RowTile& row = a.rows[kTile / kPanels];
    constexpr int64_t kOutput = kTile % kPanels * kTileOutputs;
    if (a.resume) {
      LoadTile<kTile>(row.y + kOutput, Bytes(row.y_stride));
    } else {
      LoadTile<kTile>(a.bias + kOutput, 0);  // every row the same
    }
    BeginSums<kTile + 1, kTiles, kPanels>(a);
  }
}

template <int kTile, int kTiles, int kPanels>
void EndSums(const TileBlock& a) {
  if constexpr (kTile < kTiles) {
    const RowTile& row = a.rows[kTile / kPanels];
    StoreTile<kTile>(row.y + kTile % kPanels * kTileOutputs, Bytes(row.y_stride));
    EndSums<kTile + 1, kTiles, kPanels>(a);
  }
}

// Tiles 4 and 5 are inputs, 6 and 7 weights by turns.
template <int kPanel, int kRowTiles, int kPanels>
void AddPanels(const uint32_t* panel, int64_t panel_stride) {
  if constexpr (kPanel < kPanels) {
    constexpr int kWeights = 6 + kPanel % 2;
    LoadTile<kWeights>(panel, Bytes(kTileOutputs));
    AddTileDots<kPanel, 4, kWeights>();
    if constexpr (kRowTiles == 2) AddTileDots<kPanels + kPanel, 5, kWeights>();
    AddPanels<kPanel + 1, kRowTiles, kPanels>(panel + panel_stride, panel_stride);
  }
}

template <int kRowTiles, int kPanels>
void MultiplyBlock(const TileBlock& a) {
  static_assert(kRowTiles * kPanels <= 4);
  BeginSums<0, kRowTiles * kPanels, kPanels>(a);
  const char* ahead = a.ahead;
  for (int64_t pair = 0; pair < a.pairs; pair += kTilePairs) {
    if (ahead != nullptr) {
      for (int64_t panel = 0; panel < kPanels; ++panel) {
        for (int64_t byte = 0; byte < a.ahead_step; byte += 64) {
          __builtin_prefetch(ahead + Bytes(panel * a.panel_stride) + byte);
        }
      }
      ahead += a.ahead_step;
    }
    LoadTile<4>(a.rows[0].x + pair, Bytes(a.x_stride));
    if constexpr (kRowTiles == 2) LoadTile<5>(a.rows[1].x + pair, Bytes(a.x_stride));
    AddPanels<0, kRowTiles, kPanels>(a.panels + pair * kTileOutputs, a.panel_stride);
  }
  EndSums<0, kRowTiles * kPanels, kPanels>(a);
}

// kPanels panels from `panel` on, at most two where there are several tiles; sums go to y, of rows
// that are configured in tiles of `height`: block after block of inputs, and each block two tiles
// of rows after the other, which fetch their share of the next block meanwhile. The last tile
// begins where it ends with the last row. Where others have computed its first rows, its sums wait
// apart and only the rest is copied.
template <int kPanels>
void MultiplyTilePanels(const BFloat16Product& a, int64_t height, int64_t panel, const float* bias,
                        float* y, int64_t y_stride) {
  constexpr int64_t kOutputs = kPanels * kTileOutputs;
  float apart[kTileRows * kOutputs];
  const int64_t tiles = (a.rows + height - 1) / height;
  const int64_t passes = (tiles + 1) / 2;
  const auto row_tile = [&](int64_t tile, int64_t pair) -> RowTile {
    const bool whole = (tile + 1) * height <= a.rows;
    const int64_t row = whole ? tile * height : a.rows - height;
    const uint32_t* const x = a.x + row * a.x_stride + pair;
    return whole ? RowTile{x, y + row * y_stride, y_stride} : RowTile{x, apart, kOutputs};
  };
  const int64_t stride = a.matrix.panel_words;
  const uint32_t* const panels = a.matrix.bfloat16_pairs + panel * stride;
  const int64_t pairs = PairsOf(a.matrix.in);
  const int64_t size = passes == 1 ? pairs : kTileBlock;
  for (int64_t pair = 0; pair < pairs; pair += size) {
    const int64_t left = pairs - pair;
    const uint32_t* const block = panels + pair * kTileOutputs;
    const uint32_t* const next =
        left > size ? block + size * kTileOutputs : panels + kPanels * stride;
    const int64_t share = Bytes(kTileWords) / passes;
    for (int64_t pass = 0; pass < passes; ++pass) {
      TileBlock tile = {.rows = {},
                        .x_stride = a.x_stride,
                        .panels = block,
                        .panel_stride = stride,
                        .pairs = left < size ? left : size,
                        .ahead = nullptr,
                        .ahead_step = share,
                        .bias = bias,
                        .resume = pair > 0};
      if (passes > 1) {
        tile.ahead = reinterpret_cast<const char*>(next) + pass * share * (size / kTilePairs);
      }
      tile.rows[0] = row_tile(2 * pass, pair);
      if constexpr (kPanels <= 2) {
        if (2 * pass + 1 < tiles) {
          tile.rows[1] = row_tile(2 * pass + 1, pair);
          MultiplyBlock<2, kPanels>(tile);
          continue;
        }
      }
      MultiplyBlock<1, kPanels>(tile);
    }
  }
  for (int64_t row = a.rows / height * height; row < a.rows; ++row) {
    const float* const sums = apart + (row - (a.rows - height)) * kOutputs;
    for (int64_t o = 0; o < kOutputs; ++o) y[row * y_stride + o] = sums[o];
  }
}

// A panel of which fewer than 16 outputs exist: tile by tile, of which only those are copied.
inline void MultiplyTilePart(const BFloat16Product& a, int64_t height, int64_t panel,
                             const float* bias) {
  const int64_t first = panel * kTileOutputs;
  const int64_t columns = a.matrix.out - first;
  float whole_bias[kTileOutputs] = {};
  if (a.bias != nullptr) {
    for (int64_t c = 0; c < columns; ++c) whole_bias[c] = bias[c];
  }
  float sums[kTileRows * kTileOutputs];
  for (int64_t row = 0; row < a.rows; row += height) {
    BFloat16Product part = a;
    const int64_t from = row + height <= a.rows ? row : a.rows - height;
    part.x += from * a.x_stride;
    part.rows = height;
    MultiplyTilePanels<1>(part, height, panel, whole_bias, sums, kTileOutputs);
    for (int64_t r = 0; r < height; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        a.y[(from + r) * a.y_stride + first + c] = sums[r * kTileOutputs + c];
      }
    }
  }
}

// So many rows that they stay in the cache, in tiles as equal as can be.
template <int kPanels>
void MultiplyTileRows(const BFloat16Product& a, int64_t height) {
  static constexpr float kZeros[kPanels * kTileOutputs] = {};
  const auto bias = [&](int64_t panel) {
    return a.bias == nullptr ? kZeros : a.bias + panel * kTileOutputs;
  };
  const int64_t whole = a.matrix.out / kTileOutputs;  // panels
  const int64_t last = a.last_panel < whole ? a.last_panel : whole;
  int64_t panel = a.first_panel;
  for (; panel + kPanels <= last; panel += kPanels) {
    MultiplyTilePanels<kPanels>(a, height, panel, bias(panel), a.y + panel * kTileOutputs,
                                a.y_stride);
  }
  for (; panel < last; ++panel) {
    MultiplyTilePanels<1>(a, height, panel, bias(panel), a.y + panel * kTileOutputs, a.y_stride);
  }
  if (panel < a.last_panel) MultiplyTilePart(a, height, panel, bias(panel));
}

inline void MultiplyTiles(const BFloat16Product& a) {
  int64_t most = kTileRowsBlockWords / (PairsOf(a.matrix.in) + 1);
  if (most < 64) most = 64;
  const int64_t blocks = (a.rows + most - 1) / most;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t row = a.rows * b / blocks;
    BFloat16Product part = a;
    part.x += row * a.x_stride;
    part.y += row * a.y_stride;
    part.rows = a.rows * (b + 1) / blocks - row;
    const int64_t tiles = (part.rows + kTileRows - 1) / kTileRows;
    const int64_t height = (part.rows + tiles - 1) / tiles;
    ConfigureTiles(height);
    if (tiles == 1) {
      MultiplyTileRows<4>(part, height);
    } else {
      MultiplyTileRows<2>(part, height);
    }
  }
  if (blocks > 0) ReleaseTiles();
}

}  // namespace
}  // namespace attnrl::kernels
