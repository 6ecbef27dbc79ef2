// SPDX-License-Identifier: Apache-2.0
#pragma once

// The product of kernels.h over the sixteen lanes of lanes.h. Included once by each
// kernels_<isa>.cc.
#include "common/kernels/kernels.h"
#include "common/kernels/lanes.h"
#include "common/kernels/row_math.h"

namespace attnrl::kernels {
namespace {

// What a kind of product multiplies: inputs that are broadcast, words of weights, and how many sums
// fill the registers. A tile is some rows times some panels. Fewer rows take more panels side by
// side: each sum waits for the one before it in its chain, and memory gives more to several
// streams. The size of the tile decides the speed alone.
template <typename W, typename V>
struct WordOperands {
  using Input = W;
  using Word = W;
  using Values = V;
  static V Broadcast(W x) { return V::Broadcast(x); }
  // The weights of inputs 2i and 2i + 1 for the sixteen outputs of a panel, and how far it is from
  // two to the next two.
  static V Even(const W* p) { return V::Load(p); }
  static V Odd(const W* p) { return V::Load(p + kLanes); }
  static constexpr int64_t kWordsOfTwo = 2 * kLanes;
};

struct FloatOperands : WordOperands<float, Lanes> {
  static Lanes MultiplyAdd(Lanes a, Lanes b, Lanes c) { return Fma(a, b, c); }
#if defined(__AVX512F__)
  static constexpr int kTileSums = 16;
  static constexpr int PanelsFor(int64_t rows) { return rows <= 8 ? 4 : 2; }
#elif defined(__AVX2__)
  static constexpr int kTileSums = 6;
  static constexpr int PanelsFor(int64_t rows) { return rows == 1 ? 4 : rows <= 6 ? 2 : 1; }
#else
  static constexpr int kTileSums = 4;
  static constexpr int PanelsFor(int64_t) { return 2; }
#endif
};

// bfloat16 weights made floats; p points at the word of two inputs.
struct WidenedOperands : FloatOperands {
  using Word = uint32_t;
  static Lanes Even(const uint32_t* p) { return Lanes::LoadLow(p); }
  static Lanes Odd(const uint32_t* p) { return Lanes::LoadHigh(p); }
  static constexpr int64_t kWordsOfTwo = kLanes;
#if defined(__AVX2__) && !defined(__AVX512F__)
  static constexpr int kTileSums = 5;  // a register is the mask of the odd inputs
#endif
};

// At most as many rows as the compiler unrolls below.
template <typename Operands>
constexpr int TileRows(int panels) {
  return Operands::kTileSums < 12 * panels ? Operands::kTileSums / panels : 12;
}

// Inputs of one block of a panel where several tiles of rows read it. Long blocks, since the sums
// of a tile go to memory and back from one block to the next.
inline constexpr int64_t kBlock = 768;
// Words of the rows that stay in the second cache while all panels pass by.
inline constexpr int64_t kRowsBlockWords = int64_t{1} << 16;

template <typename Operands>
struct TileArguments {
  const typename Operands::Input* x;
  int64_t x_stride;
  int64_t count;  // inputs
  const typename Operands::Word* panels;
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
template <int Rows, int PanelCount, typename Operands>
void Tile(const TileArguments<Operands>& a) {
  Lanes sums[Rows][PanelCount];
  for (int p = 0; p < PanelCount; ++p) {
    const Lanes bias = a.bias == nullptr ? Lanes::Broadcast(0) : Lanes::Load(a.bias + p * kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) sums[r][p] = bias;
  }
  if (a.resume) {
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 12
      for (int p = 0; p < PanelCount; ++p) {
        sums[r][p] = Lanes::Load(a.y + r * a.y_stride + p * kLanes);
      }
    }
  }
  const auto* x = a.x;
  const int64_t x_stride = a.x_stride;
  const auto* panels = a.panels;
  const char* ahead = a.ahead;
  using Values = typename Operands::Values;
  const auto add = [&](const Values(&weights)[PanelCount], int64_t input) {
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      const Values value = Operands::Broadcast(x[r * x_stride + input]);
#pragma GCC unroll 12
      for (int p = 0; p < PanelCount; ++p) {
        sums[r][p] = Operands::MultiplyAdd(value, weights[p], sums[r][p]);
      }
    }
  };
  Values weights[PanelCount];
  for (int64_t i = a.count / 2; i > 0; --i) {
    if (ahead != nullptr) {
      for (int p = 0; p < PanelCount; ++p) __builtin_prefetch(ahead + p * a.ahead_stride);
      ahead += a.ahead_step;
    }
    for (int p = 0; p < PanelCount; ++p) weights[p] = Operands::Even(panels + p * a.panel_stride);
    add(weights, 0);
    for (int p = 0; p < PanelCount; ++p) weights[p] = Operands::Odd(panels + p * a.panel_stride);
    add(weights, 1);
    panels += Operands::kWordsOfTwo;
    x += 2;
  }
  if (a.count % 2 != 0) {
    for (int p = 0; p < PanelCount; ++p) weights[p] = Operands::Even(panels + p * a.panel_stride);
    add(weights, 0);
  }
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 12
    for (int p = 0; p < PanelCount; ++p) {
      sums[r][p].Store(a.y + r * a.y_stride + p * kLanes);
    }
  }
}

// `rows` rows, at most Rows, times PanelCount panels.
template <int PanelCount, typename Operands, int Rows = TileRows<Operands>(PanelCount)>
void TileOf(int64_t rows, const TileArguments<Operands>& a) {
  if constexpr (Rows > 1) {
    if (rows < Rows) return TileOf<PanelCount, Operands, Rows - 1>(rows, a);
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
template <int PanelCount, typename Operands>
void MultiplyPanels(const ProductOf<typename Operands::Input>& a,
                    const typename Operands::Word* panels, int64_t inputs, int64_t panel) {
  using Word = typename Operands::Word;
  const int64_t stride = a.matrix.panel_words;
  const Word* const whole = panels + panel * stride;
  constexpr int kRows = TileRows<Operands>(PanelCount);
  const int64_t tiles = (a.rows + kRows - 1) / kRows;
  const int64_t blocks = (inputs + kBlock - 1) / kBlock;
  const int64_t size = (inputs + 2 * blocks - 1) / (2 * blocks) * 2;
  const int64_t words = size / 2 * Operands::kWordsOfTwo;  // of a block
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t first = b * size;
    const Word* const block = whole + b * words;
    const Word* const next = b + 1 < blocks ? block + words : whole + PanelCount * stride;
    ForTiles(a.rows, tiles, [&](int64_t row, int64_t rows) {
      const int64_t fetched = words * row / a.rows;
      const int64_t share = words * (row + rows) / a.rows - fetched;
      TileOf<PanelCount, Operands>(
          rows, {.x = a.x + row * a.x_stride + first,
                 .x_stride = a.x_stride,
                 .count = inputs - first < size ? inputs - first : size,
                 .panels = block,
                 .panel_stride = stride,
                 .ahead = tiles == 1 ? nullptr : reinterpret_cast<const char*>(next + fetched),
                 .ahead_stride = stride * static_cast<int64_t>(sizeof(Word)),
                 .ahead_step = share * static_cast<int64_t>(sizeof(Word)) * 2 / size,
                 .bias = a.bias == nullptr ? nullptr : a.bias + panel * kLanes,
                 .resume = b > 0,
                 .y = a.y + row * a.y_stride + panel * kLanes,
                 .y_stride = a.y_stride});
    });
  }
}

// Whole panels, PanelCount at a time, for so many rows at once that these stay in the cache.
template <int PanelCount, typename Operands>
void MultiplyRows(const ProductOf<typename Operands::Input>& a,
                  const typename Operands::Word* panels, int64_t inputs) {
  int64_t most = kRowsBlockWords / (inputs + 1);
  if (most < 48) most = 48;
  const int64_t blocks = (a.rows + most - 1) / most;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t row = a.rows * b / blocks;
    ProductOf<typename Operands::Input> part = a;
    part.x += row * a.x_stride;
    part.y += row * a.y_stride;
    part.rows = a.rows * (b + 1) / blocks - row;
    int64_t panel = a.first_panel;
    for (; panel + PanelCount <= a.last_panel; panel += PanelCount) {
      MultiplyPanels<PanelCount, Operands>(part, panels, inputs, panel);
    }
    for (; panel < a.last_panel; ++panel) {
      MultiplyPanels<1, Operands>(part, panels, inputs, panel);
    }
  }
}

// A last panel with fewer than 16 outputs: in tiles of their own, from which only those are copied.
template <typename Operands>
void MultiplyPartOfPanel(const ProductOf<typename Operands::Input>& a,
                         const typename Operands::Word* panels, int64_t inputs, int64_t panel) {
  const int64_t columns = a.matrix.out - panel * kLanes;
  float bias[kLanes] = {};
  if (a.bias != nullptr) {
    for (int64_t c = 0; c < columns; ++c) bias[c] = a.bias[panel * kLanes + c];
  }
  constexpr int kRows = TileRows<Operands>(1);
  float tile[kRows * kLanes];
  const auto* const words = panels + panel * a.matrix.panel_words;
  ForTiles(a.rows, (a.rows + kRows - 1) / kRows, [&](int64_t row, int64_t rows) {
    TileOf<1, Operands>(rows, {.x = a.x + row * a.x_stride,
                               .x_stride = a.x_stride,
                               .count = inputs,
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

// `inputs`: words of a row of x.
template <typename Operands>
void MultiplyOf(ProductOf<typename Operands::Input> a, const typename Operands::Word* panels,
                int64_t inputs) {
  if (a.last_panel * kLanes > a.matrix.out) {
    --a.last_panel;
    MultiplyPartOfPanel<Operands>(a, panels, inputs, a.last_panel);
  }
  switch (Operands::PanelsFor(a.rows)) {
    case 4:
      return MultiplyRows<4, Operands>(a, panels, inputs);
    case 2:
      return MultiplyRows<2, Operands>(a, panels, inputs);
    default:
      return MultiplyRows<1, Operands>(a, panels, inputs);
  }
}

inline void Multiply(const Product& product) {
  if (product.matrix.float32 != nullptr) {
    MultiplyOf<FloatOperands>(product, product.matrix.float32, product.matrix.in);
  } else {
    MultiplyOf<WidenedOperands>(product, product.matrix.bfloat16_pairs, product.matrix.in);
  }
}

}  // namespace
}  // namespace attnrl::kernels
