// SPDX-License-Identifier: Apache-2.0
#pragma once

// The instructions of AMX that tile_body.h needs. The compiler knows nothing of tile registers; it
// keeps volatile statements in their order.
#include <cstdint>

namespace attnrl::kernels {
namespace {

// Of 8 tiles of 64 bytes a row: 0 to 5 (sums and inputs) of `rows` rows, 6 and 7 (weights) of 16.
inline void ConfigureTiles(int64_t rows) {
  struct alignas(64) {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } config;
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = 64;
    config.rows[tile] = tile < 6 ? static_cast<uint8_t>(rows) : uint8_t{16};
  }
  asm volatile("ldtilecfg %0" ::"m"(config));
}

inline void ReleaseTiles() { asm volatile("tilerelease" ::: "memory"); }

// Rows lie `stride` bytes apart.
template <int kTile>
void LoadTile(const void* rows, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
void StoreTile(void* rows, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(rows), "r"(stride), "i"(kTile) : "memory");
}

// sums[m, n] += inputs[m, pair] * weights[pair, n], both numbers of 16 pairs.
template <int kSums, int kInputs, int kWeights>
void AddTileDots() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kInputs), "i"(kWeights));
}

}  // namespace
}  // namespace attnrl::kernels
