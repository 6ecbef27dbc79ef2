// SPDX-License-Identifier: Apache-2.0
#include "common/base/philox.h"

namespace attnrl {
namespace {

uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }
uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x); }

}  // namespace

std::array<uint32_t, 4> Philox(std::array<uint32_t, 2> key, std::array<uint32_t, 4> counter) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53;
  constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9;
  constexpr uint32_t kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = kMultiplier0 * counter[0];
    const uint64_t p1 = kMultiplier1 * counter[2];
    counter = {High(p1) ^ counter[1] ^ key[0], Low(p1), High(p0) ^ counter[3] ^ key[1], Low(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

uint64_t RandomBits(const RandomKey& key, uint32_t index) {
  // Two chained blocks: the first makes a key of everything that doesn't fit into one counter.
  const auto mixed =
      Philox({Low(key.seed), High(key.seed)}, {key.purpose, key.batch, key.position, key.node});
  const auto out = Philox({mixed[0], mixed[1]}, {index, mixed[2], mixed[3], key.purpose});
  return (static_cast<uint64_t>(out[0]) << 32) | out[1];
}

double RandomUniform(const RandomKey& key, uint32_t index) {
  return static_cast<double>(RandomBits(key, index) >> 11) * 0x1.0p-53;
}

uint64_t RandomStream::Below(uint64_t n) {
  const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
  uint64_t bits = Bits();
  while (bits >= limit) bits = Bits();
  return bits % n;
}

}  // namespace attnrl
