// SPDX-License-Identifier: Apache-2.0
#pragma once

// What amx_tiles.h has, number by number, each thread with tiles of its own.
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "common/kernels/bfloat16/testing/bfloat16_math.h"

namespace attnrl::kernels {
namespace {

struct EmulatedTiles {
  int64_t rows = 0;  // 0: not configured
  uint32_t words[8][16][16];
};
thread_local EmulatedTiles tiles_of_thread;

inline void ConfigureTiles(int64_t rows) {
  if (rows < 1 || rows > 16) throw std::logic_error("tiles have 1 to 16 rows");
  tiles_of_thread.rows = rows;
}

inline void ReleaseTiles() { tiles_of_thread.rows = 0; }

template <int kTile>
int64_t RowsOfTile() {
  if (tiles_of_thread.rows == 0) throw std::logic_error("tiles aren't configured");
  return kTile < 6 ? tiles_of_thread.rows : 16;
}

template <int kTile>
void LoadTile(const void* rows, int64_t stride) {
  for (int64_t row = 0; row < RowsOfTile<kTile>(); ++row) {
    std::memcpy(tiles_of_thread.words[kTile][row], static_cast<const char*>(rows) + row * stride,
                64);
  }
}

template <int kTile>
void StoreTile(void* rows, int64_t stride) {
  for (int64_t row = 0; row < RowsOfTile<kTile>(); ++row) {
    std::memcpy(static_cast<char*>(rows) + row * stride, tiles_of_thread.words[kTile][row], 64);
  }
}

template <int kSums, int kInputs, int kWeights>
void AddTileDots() {
  auto& words = tiles_of_thread.words;
  for (int64_t row = 0; row < RowsOfTile<kSums>(); ++row) {
    for (int column = 0; column < 16; ++column) {
      float even = 0, odd = 0;
      for (int pair = 0; pair < 16; ++pair) {
        const uint32_t input = words[kInputs][row][pair];
        const uint32_t weight = words[kWeights][pair][column];
        even = FlushedFma(LowOf(input), LowOf(weight), even);
        odd = FlushedFma(HighOf(input), HighOf(weight), odd);
      }
      uint32_t& sum = words[kSums][row][column];
      sum = std::bit_cast<uint32_t>(FlushedAdd(std::bit_cast<float>(sum), FlushedAdd(even, odd)));
    }
  }
}

}  // namespace
}  // namespace attnrl::kernels
