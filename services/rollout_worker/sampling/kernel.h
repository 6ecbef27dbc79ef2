// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::rollout {

// Ids whose weights are added up together; a token is found by the sums of its block first.
inline constexpr int64_t kSamplerBlock = 1024;

// Top-k and top-p add up weights, which are at most 1, as whole numbers of this unit's inverse:
// such sums have no order, so whoever adds keeps the same ids.
inline constexpr float kMassUnits = 0x1p43F;

// Sums over a block of weights.
struct BlockSums {
  float weight = 0;    // of exp(s), s = (logit - largest) / T
  float weighted = 0;  // of s * exp(s)
};

// The inner loops of the sampler. Sums go into 16 lanes, element i into lane i mod 16 in order, and
// the lanes are added as (l, l + 8), (l, l + 4), (l, l + 2), (0, 1); the exponential is our own. So
// every instruction set, and a device that does the same, gives the same bits.
struct SamplerKernel {
  const char* isa;  // "avx512", "avx2" or "portable"
  // The largest of n > 0 logits; false where one is NaN or infinite.
  bool (*largest)(const float* logits, int64_t n, float* largest);
  // The weights of 0 < n <= kSamplerBlock logits, and their sums.
  BlockSums (*weigh)(const float* logits, int64_t n, float largest, float inverse_temperature,
                     float* weights);
};

// The fastest that this machine has; fixed for the life of the process.
const SamplerKernel& GetSamplerKernel();
// All that this machine can run, for tests.
std::vector<const SamplerKernel*> AllSamplerKernels();

}  // namespace attnrl::rollout
