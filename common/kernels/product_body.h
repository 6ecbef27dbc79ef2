// SPDX-License-Identifier: Apache-2.0
#pragma once

// The product of kernels.h over the sixteen lanes of lanes.h. Included once by each
// kernels_<isa>.cc.
#include "common/kernels/kernels.h"
#include "common/kernels/lanes.h"
#include "common/kernels/row_math.h"

namespace attnrl::kernels {
namespace {

// A tile is some rows times some panels, whose sums fill the registers. Fewer rows take more panels
// side by side: each sum waits for the one before it in its chain, and memory gives more to several
// streams. The size of the tile decides the speed alone.
#if defined(__AVX512F__)
constexpr int TileSums(const void*) { return 16; }
constexpr int PanelsFor(int64_t rows) { return rows <= 8 ? 4 : 2; }
#elif defined(__AVX2__)
constexpr int TileSums(const float*) { return 6; }
constexpr int TileSums(const uint32_t*) { return 5; }  // a register is the mask of the odd inputs
constexpr int PanelsFor(int64_t rows) { return rows == 1 ? 4 : rows <= 6 ? 2 : 1; }
#else
constexpr int TileSums(const void*) { return 4; }
constexpr int PanelsFor(int64_t) { return 2; }
#endif
template <typename T>
constexpr int TileRows(int panels) {
  return TileSums(static_cast<const T*>(nullptr)) / panels;
}

// Inputs of one block of a panel where several tiles of rows read it. Long blocks, since the sums
// of a tile go to memory and back from one block to the next.
inline constexpr int64_t kBlock = 768;
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
  // Fetched meanwhile, as many bytes for each two inputs: a share of the block that comes next.
  const char* ahead;
  int64_t ahead_stride;  // bytes from a panel to the next
  int64_t ahead_step;
  const float* bias;  // of the first output, or null
  bool resume;        // the sums go on from what is in y
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
  const char* ahead = a.ahead;
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
    if (ahead != nullptr) {
      for (int p = 0; p < PanelCount; ++p) __builtin_prefetch(ahead + p * a.ahead_stride);
      ahead += a.ahead_step;
    }
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

// `rows` rows, at most Rows, times PanelCount panels.
template <int PanelCount, typename T, int Rows = TileRows<T>(PanelCount)>
void TileOf(int64_t rows, const TileArguments<T>& a) {
  if constexpr (Rows > 1) {
    if (rows < Rows) return TileOf<PanelCount, T, Rows - 1>(rows, a);
  }
  Tile<Rows, PanelCount>(a);
}

// Calls run(first row, rows) for tiles as equal as can be, so that none is left with a row or two.
template <typename Run>
void ForTiles(int64_t rows, int64_t tiles, const Run& run) {
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t row = rows * t / tiles;
    run(row, rows * (t + 1) / tiles - row);
  }
}

// PanelCount panels from `panel` on: block after block of inputs, and each block tile after tile of
// rows. Meanwhile each tile fetches its share of the next block, so that memory and arithmetic work
// at the same time, and no faster than memory gives: fetches that wait would hold up the sums. A
// lone tile reads as fast as memory gives by itself.
template <int PanelCount, typename T>
void MultiplyPanels(const Product& a, const T* panels, int64_t panel) {
  const int64_t stride = a.matrix.panel_words;
  const T* const whole = panels + panel * stride;
  const int64_t tiles = (a.rows + TileRows<T>(PanelCount) - 1) / TileRows<T>(PanelCount);
  const int64_t blocks = (a.matrix.in + kBlock - 1) / kBlock;
  const int64_t size = (a.matrix.in + 2 * blocks - 1) / (2 * blocks) * 2;
  const int64_t words = size / 2 * WordsOfTwo(panels);  // of a block
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t first = b * size;
    const T* const block = whole + b * words;
    const T* const next = b + 1 < blocks ? block + words : whole + PanelCount * stride;
    ForTiles(a.rows, tiles, [&](int64_t row, int64_t rows) {
      const int64_t fetched = words * row / a.rows;
      const int64_t share = words * (row + rows) / a.rows - fetched;
      TileOf<PanelCount, T>(
          rows, {.x = a.x + row * a.x_stride + first,
                 .x_stride = a.x_stride,
                 .count = a.matrix.in - first < size ? a.matrix.in - first : size,
                 .panels = block,
                 .panel_stride = stride,
                 .ahead = tiles == 1 ? nullptr : reinterpret_cast<const char*>(next + fetched),
                 .ahead_stride = stride * static_cast<int64_t>(sizeof(T)),
                 .ahead_step = share * static_cast<int64_t>(sizeof(T)) * 2 / size,
                 .bias = a.bias == nullptr ? nullptr : a.bias + panel * kLanes,
                 .resume = b > 0,
                 .y = a.y + row * a.y_stride + panel * kLanes,
                 .y_stride = a.y_stride});
    });
  }
}

// Whole panels, PanelCount at a time, for so many rows at once that these stay in the cache.
template <int PanelCount, typename T>
void MultiplyRows(const Product& a, const T* panels) {
  int64_t most = kRowsBlockFloats / (a.matrix.in + 1);
  if (most < 48) most = 48;
  const int64_t blocks = (a.rows + most - 1) / most;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t row = a.rows * b / blocks;
    Product part = a;
    part.x += row * a.x_stride;
    part.y += row * a.y_stride;
    part.rows = a.rows * (b + 1) / blocks - row;
    int64_t panel = a.first_panel;
    for (; panel + PanelCount <= a.last_panel; panel += PanelCount) {
      MultiplyPanels<PanelCount>(part, panels, panel);
    }
    for (; panel < a.last_panel; ++panel) MultiplyPanels<1>(part, panels, panel);
  }
}

// A last panel with fewer than 16 outputs: in tiles of their own, from which only those are copied.
template <typename T>
void MultiplyPartOfPanel(const Product& a, const T* panels, int64_t panel) {
  const int64_t columns = a.matrix.out - panel * kLanes;
  float bias[kLanes] = {};
  if (a.bias != nullptr) {
    for (int64_t c = 0; c < columns; ++c) bias[c] = a.bias[panel * kLanes + c];
  }
  constexpr int kRows = TileRows<T>(1);
  float tile[kRows * kLanes];
  const T* const words = panels + panel * a.matrix.panel_words;
  ForTiles(a.rows, (a.rows + kRows - 1) / kRows, [&](int64_t row, int64_t rows) {
    TileOf<1, T>(rows, {.x = a.x + row * a.x_stride,
                        .x_stride = a.x_stride,
                        .count = a.matrix.in,
                        .panels = words,
                        .panel_stride = a.matrix.panel_words,
                        .ahead = nullptr,
                        .ahead_stride = 0,
                        .ahead_step = 0,
                        .bias = bias,
                        .resume = false,
                        .y = tile,
                        .y_stride = kLanes});
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        a.y[(row + r) * a.y_stride + panel * kLanes + c] = tile[r * kLanes + c];
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
  switch (PanelsFor(a.rows)) {
    case 4:
      return MultiplyRows<4>(a, panels);
    case 2:
      return MultiplyRows<2>(a, panels);
    default:
      return MultiplyRows<1>(a, panels);
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
