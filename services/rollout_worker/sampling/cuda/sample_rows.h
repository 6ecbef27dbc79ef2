// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/cuda/launch.h"
#include "services/rollout_worker/sampling/kernel.h"

namespace attnrl::rollout {

// Rows of logits of which a token is drawn each, by the definition of
// services/rollout_worker/sampling/README.md, without top-k and top-p. All pointers are of the GPU.
struct SampleRows {
  const float* logits = nullptr;  // [rows, vocabulary]
  int64_t vocabulary = 0;         // 1 to kMostBlocks * kSamplerBlock
  int64_t blocks = 0;             // BlocksOf(vocabulary)
  // Of each row: RandomUniform(key, index), and the temperature, 0 for the most likely token.
  const double* uniforms = nullptr;
  const double* temperatures = nullptr;
  // Scratch, [rows, blocks] each.
  float* block_largest = nullptr;
  float* block_weight = nullptr;
  float* block_weighted = nullptr;
  // [rows, 3]: id, -1 where the logits are not finite; log-prob; entropy. As what DeviceDraws
  // (services/rollout_worker/runner/device_sampler.h) gives.
  double* drawn = nullptr;

  static constexpr int64_t kMostBlocks = 1024;
  static constexpr int64_t BlocksOf(int64_t vocabulary) {
    return (vocabulary + kSamplerBlock - 1) / kSamplerBlock;
  }
};

// Draws all rows, in three launches on `stream`. Ids are those of Sampler for equal logits, to the
// bit of every sum; log-probs and entropies as far as the GPU's log in float64 is the host's.
[[nodiscard]] cuda::LaunchError LaunchSampleRows(const SampleRows& rows, int64_t count,
                                                 cuda::Stream stream);

}  // namespace attnrl::rollout
