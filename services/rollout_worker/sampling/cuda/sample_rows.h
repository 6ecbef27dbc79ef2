// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/cuda/launch.h"
#include "services/rollout_worker/sampling/kernel.h"

namespace attnrl::rollout {

// Rows of logits of which a token is drawn each, by the definition of
// services/rollout_worker/sampling/README.md. All pointers are of the GPU.
struct SampleRows {
  const float* logits = nullptr;  // [rows, vocabulary]
  int64_t vocabulary = 0;         // 1 to kMostBlocks * kSamplerBlock
  int64_t blocks = 0;             // BlocksOf(vocabulary)
  // Of each row: RandomUniform(key, index), and the temperature, 0 for the most likely token.
  const double* uniforms = nullptr;
  const double* temperatures = nullptr;
  // 0 and 1: off. Null: off for all rows, and nothing is launched for them.
  const int64_t* top_k = nullptr;
  const double* top_p = nullptr;
  // Scratch, [rows, blocks] each.
  float* block_largest = nullptr;
  float* block_weight = nullptr;
  float* block_weighted = nullptr;
  // The same where top_k isn't null: the weights that are kept, and how many ids of the block at
  // most are kept of those that equal the smallest logit kept, `least` [rows].
  double* block_kept = nullptr;
  int32_t* block_ties = nullptr;
  float* least = nullptr;
  // [rows, 3]: id, -1 where the logits are not finite; log-prob; entropy. As what DeviceDraws
  // (services/rollout_worker/runner/device_sampler.h) gives.
  double* drawn = nullptr;

  static constexpr int64_t kMostBlocks = 1024;
  static constexpr int64_t BlocksOf(int64_t vocabulary) {
    return (vocabulary + kSamplerBlock - 1) / kSamplerBlock;
  }
  // Bytes of scratch for a block of a row.
  static constexpr int64_t kScratch = 3 * sizeof(float) + sizeof(double) + sizeof(int32_t);
};

// Draws all rows, in three launches on `stream`, five where top_k isn't null. Ids are those of
// Sampler for equal logits, to the bit of every sum; log-probs and entropies as far as the GPU's
// log in float64 is the host's.
[[nodiscard]] cuda::LaunchError LaunchSampleRows(const SampleRows& rows, int64_t count,
                                                 cuda::Stream stream);

}  // namespace attnrl::rollout
