// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace attnrl {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a pure
// function from (key, counter) to 128 random bits. No state, so no order of calls can matter.
std::array<uint32_t, 4> Philox(std::array<uint32_t, 2> key, std::array<uint32_t, 4> counter);

// What every random choice of a run is keyed by. Two different keys give independent streams.
struct RandomKey {
  uint64_t seed = 0;     // run.seed
  uint32_t purpose = 0;  // see RandomPurpose: unrelated choices never share numbers
  uint32_t batch = 0;
  uint32_t position = 0;  // problem within the batch
  uint32_t node = 0;      // tree node within the problem (an initial response, a continuation)
};

enum RandomPurpose : uint32_t {
  kSampleToken = 1,
  kShuffleData = 2,
  kShuffleMinibatch = 3,
  kExpand = 4,
  kBranch = 5,
  kInitWeights = 6,
  kMakeTask = 7,
  kRetryJitter = 8,
  kInitAdapters = 9,
};

// 64 random bits of stream `key` at `index` (the token, the element). Pure.
uint64_t RandomBits(const RandomKey& key, uint32_t index);

// Uniform in [0, 1) with 53 random bits. Pure.
double RandomUniform(const RandomKey& key, uint32_t index);

// A sequence of draws from one stream, for shuffles and generators.
class RandomStream {
 public:
  explicit RandomStream(const RandomKey& key) : key_(key) {}
  uint64_t Bits() { return RandomBits(key_, next_++); }
  double Uniform() { return RandomUniform(key_, next_++); }
  // Unbiased in [0, n); n > 0.
  uint64_t Below(uint64_t n);

 private:
  RandomKey key_;
  uint32_t next_ = 0;
};

}  // namespace attnrl
