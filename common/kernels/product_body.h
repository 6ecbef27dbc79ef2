// SPDX-License-Identifier: Apache-2.0
#pragma once

// The product of kernels.h over the sixteen lanes of lanes.h. Included once by each
// kernels_<isa>.cc.
#include "common/kernels/kernels.h"
#include "common/kernels/lanes.h"
#include "common/kernels/row_math.h"

namespace attnrl::kernels {
namespace {

// A tile is some rows times some panels, whose sums fill the registers: at most kTileRows rows, and
// more panels where there are fewer rows, since each sum waits for the one before it in its chain.
// The size of the tile decides the speed alone.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 8;
constexpr int PanelsOf(int rows) { return rows <= 4 ? 4 : 2; }
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6;
constexpr int PanelsOf(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
#else
inline constexpr int kTileRows = 2;
constexpr int PanelsOf(int) { return 2; }
#endif

// Inputs of one block of a panel where several tiles of rows read it. Long blocks, since the sums
// of a tile go to memory and back from one block to the next; short enough that bfloat16 blocks,
// widened once for all tiles, stay in the second cache beside the rows.
inline constexpr int64_t kBlock = 768;
// Up to this many rows tiles widen bfloat16 weights as they read them: storing a block first is
// worth it for more readers only.
inline constexpr int64_t kMostUnwidenedRows = 3 * kTileRows;
// Floats of the rows that stay in the second cache while all panels pass by.
inline constexpr int64_t kRowsBlockFloats = int64_t{1} << 16;

// The weights of inputs 2i and 2i + 1 for the sixteen outputs of a panel; p points at word 2i of a
// float32 panel, or word i of a bfloat16 one.
inline Lanes Even(const float* p) { return Lanes::Load(p); }
inline Lanes Odd(const float* p) { return Lanes::Load(p + kLanes); }
inline Lanes Even(const uint32_t* p) { return Lanes::LoadLow(p); }
inline Lanes Odd(const uint32_t* p) { return Lanes::LoadHigh(p); }
constexpr int64_t WordsOfTwo(const float*) { return 2 * kLanes; }
constexpr int64_t WordsOfTwo(const uint32_t*) { return kLanes; }

template <typename T>
struct TileArguments {
  const float* x;
  int64_t x_stride;
  int64_t count;  // inputs
  const T* panels;
  int64_t panel_stride;  // words from a panel to the next
  const float* bias;     // of the first output, or null
  bool resume;           // the sums go on from what is in y
  float* y;
  int64_t y_stride;
};

// Rows x (PanelCount * 16) outputs, all of which exist.
template <int Rows, int PanelCount, typename T>
void Tile(const TileArguments<T>& a) {
  Lanes sums[Rows][PanelCount];
  for (int p = 0; p < PanelCount; ++p) {
    const Lanes bias = a.bias == nullptr ? Lanes::Broadcast(0) : Lanes::Load(a.bias + p * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) sums[r][p] = bias;
  }
  if (a.resume) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int p = 0; p < PanelCount; ++p) {
        sums[r][p] = Lanes::Load(a.y + r * a.y_stride + p * kLanes);
      }
    }
  }
  const float* x = a.x;
  const int64_t x_stride = a.x_stride;
  const T* panels = a.panels;
  const auto add = [&](const Lanes(&weights)[PanelCount], int64_t input) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Lanes value = Lanes::Broadcast(x[r * x_stride + input]);
#pragma GCC unroll 8
      for (int p = 0; p < PanelCount; ++p) sums[r][p] = Fma(value, weights[p], sums[r][p]);
    }
  };
  Lanes weights[PanelCount];
  for (int64_t i = a.count / 2; i > 0; --i) {
    for (int p = 0; p < PanelCount; ++p) weights[p] = Even(panels + p * a.panel_stride);
    add(weights, 0);
    for (int p = 0; p < PanelCount; ++p) weights[p] = Odd(panels + p * a.panel_stride);
    add(weights, 1);
    panels += WordsOfTwo(panels);
    x += 2;
  }
  if (a.count % 2 != 0) {
    for (int p = 0; p < PanelCount; ++p) weights[p] = Even(panels + p * a.panel_stride);
    add(weights, 0);
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < PanelCount; ++p) {
      sums[r][p].Store(a.y + r * a.y_stride + p * kLanes);
    }
  }
}

// `rows` rows, at most kTileRows, times PanelCount panels.
template <int PanelCount, typename T, int Rows = kTileRows>
void TileOf(int64_t rows, const TileArguments<T>& a) {
  if constexpr (Rows > 1) {
    if (rows < Rows) return TileOf<PanelCount, T, Rows - 1>(rows, a);
  }
  Tile<Rows, PanelCount>(a);
}

template <typename T>
TileArguments<T> WholePanels(const Product& a, const T* panels, int64_t panel) {
  return {.x = a.x,
          .x_stride = a.x_stride,
          .count = a.matrix.in,
          .panels = panels + panel * a.matrix.panel_words,
          .panel_stride = a.matrix.panel_words,
          .bias = a.bias == nullptr ? nullptr : a.bias + panel * kLanes,
          .resume = false,
          .y = a.y + panel * kLanes,
          .y_stride = a.y_stride};
}

// The panels of one tile of rows: each weight is read once.
template <typename T, int Rows = kTileRows>
void MultiplyFewRows(const Product& a, const T* panels) {
  if constexpr (Rows > 1) {
    if (a.rows < Rows) return MultiplyFewRows<T, Rows - 1>(a, panels);
  }
  constexpr int kWide = PanelsOf(Rows);
  int64_t panel = a.first_panel;
  for (; panel + kWide <= a.last_panel; panel += kWide) {
    Tile<Rows, kWide>(WholePanels(a, panels, panel));
  }
  for (; panel < a.last_panel; ++panel) Tile<Rows, 1>(WholePanels(a, panels, panel));
}

// Calls run(first row, rows) for tiles as equal as can be, so that none is left with a row or two.
template <typename Run>
void ForTiles(int64_t rows, const Run& run) {
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t row = rows * t / tiles;
    run(row, rows * (t + 1) / tiles - row);
  }
}

// `count` inputs of PanelCount panels as the tiles of many rows read them: in float32.
template <int PanelCount>
const float* Widen(const float* panels, int64_t*, int64_t, float*) {
  return panels;
}
template <int PanelCount>
const float* Widen(const uint32_t* panels, int64_t* stride, int64_t count, float* wide) {
  for (int p = 0; p < PanelCount; ++p) {
    for (int64_t i = 0; i < (count + 1) / 2; ++i) {
      const uint32_t* const from = panels + p * *stride + i * kLanes;
      float* const to = wide + p * kBlock * kLanes + i * 2 * kLanes;
      Even(from).Store(to);
      Odd(from).Store(to + kLanes);
    }
  }
  *stride = kBlock * kLanes;
  return wide;
}

// PanelCount panels from `panel` on times many rows: block after block of inputs, and each block
// tile after tile.
template <int PanelCount, typename T>
void MultiplyPanels(const Product& a, const T* panels, int64_t panel) {
  alignas(64) float wide[PanelCount * kBlock * kLanes];
  const TileArguments<T> whole = WholePanels(a, panels, panel);
  const int64_t blocks = (whole.count + kBlock - 1) / kBlock;
  const int64_t size = (whole.count + 2 * blocks - 1) / (2 * blocks) * 2;
  for (int64_t first = 0; first < whole.count; first += size) {
    const int64_t count = whole.count - first < size ? whole.count - first : size;
    const auto multiply = [&]<typename Word>(const Word* words, int64_t stride) {
      ForTiles(a.rows, [&](int64_t row, int64_t rows) {
        TileOf<PanelCount, Word>(rows, {.x = a.x + row * a.x_stride + first,
                                        .x_stride = a.x_stride,
                                        .count = count,
                                        .panels = words,
                                        .panel_stride = stride,
                                        .bias = whole.bias,
                                        .resume = first > 0,
                                        .y = whole.y + row * a.y_stride,
                                        .y_stride = a.y_stride});
      });
    };
    const T* const block = whole.panels + first / 2 * WordsOfTwo(panels);
    if (a.rows <= kMostUnwidenedRows) {
      multiply(block, whole.panel_stride);
    } else {
      int64_t stride = whole.panel_stride;
      const float* const widened = Widen<PanelCount>(block, &stride, count, wide);
      multiply(widened, stride);
    }
  }
}

template <typename T>
void MultiplyManyRows(const Product& a, const T* panels) {
  constexpr int kWide = PanelsOf(kTileRows);
  int64_t most = kRowsBlockFloats / (a.matrix.in + 1);
  if (most < 8 * kTileRows) most = 8 * kTileRows;
  const int64_t blocks = (a.rows + most - 1) / most;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t row = a.rows * b / blocks;
    Product part = a;
    part.x += row * a.x_stride;
    part.y += row * a.y_stride;
    part.rows = a.rows * (b + 1) / blocks - row;
    int64_t panel = a.first_panel;
    for (; panel + kWide <= a.last_panel; panel += kWide) {
      MultiplyPanels<kWide>(part, panels, panel);
    }
    for (; panel < a.last_panel; ++panel) MultiplyPanels<1>(part, panels, panel);
  }
}

// A last panel with fewer than 16 outputs: in tiles of their own, from which only those are copied.
template <typename T>
void MultiplyPartOfPanel(const Product& a, const T* panels, int64_t panel) {
  const int64_t columns = a.matrix.out - panel * kLanes;
  TileArguments<T> whole = WholePanels(a, panels, panel);
  float bias[kLanes] = {};
  if (a.bias != nullptr) {
    for (int64_t c = 0; c < columns; ++c) bias[c] = whole.bias[c];
  }
  float tile[kTileRows * kLanes];
  ForTiles(a.rows, [&](int64_t row, int64_t rows) {
    TileArguments<T> arguments = whole;
    arguments.x += row * a.x_stride;
    arguments.bias = bias;
    arguments.y = tile;
    arguments.y_stride = kLanes;
    TileOf<1>(rows, arguments);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        whole.y[(row + r) * a.y_stride + c] = tile[r * kLanes + c];
      }
    }
  });
}

template <typename T>
void MultiplyOf(Product a, const T* panels) {
  if (a.last_panel * kLanes > a.matrix.out) {
    --a.last_panel;
    MultiplyPartOfPanel(a, panels, a.last_panel);
  }
  if (a.rows > kTileRows) {
    MultiplyManyRows(a, panels);
  } else if (a.rows > 0) {
    MultiplyFewRows(a, panels);
  }
}

void Multiply(const Product& product) {
  if (product.matrix.float32 != nullptr) {
    MultiplyOf(product, product.matrix.float32);
  } else {
    MultiplyOf(product, product.matrix.bfloat16_pairs);
  }
}

}  // namespace
}  // namespace attnrl::kernels
