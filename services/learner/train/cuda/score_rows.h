// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/kernels/cuda/launch.h"

namespace attnrl::learner {

// A chunk of scored rows, as of ChunkedScores (services/learner/train/token_scores.h): logits, and
// the tokens that each row predicts, several where leaves of a tree share it. All pointers are of
// the GPU.
struct ScoreRows {
  float* logits = nullptr;  // [rows, vocabulary]; the way back replaces them
  int64_t vocabulary = 0;
  float inverse_temperature = 1;
  // Row r predicts tokens first_token[r] to first_token[r + 1] - 1; their ids.
  const int32_t* first_token = nullptr;
  const int32_t* ids = nullptr;
  float* log_sum = nullptr;   // [rows]: log of the sum of exp(logit / temperature)
  float* entropy = nullptr;   // [rows], nats; null: none, and no gradient of it
  float* logprobs = nullptr;  // [tokens]
  // For the way back, [tokens]; null: no gradient of the entropy.
  const float* logprob_gradient = nullptr;
  const float* entropy_gradient = nullptr;
};

// Log-probs and entropies: logits are read once and stay. One launch on `stream`.
[[nodiscard]] cuda::LaunchError LaunchScoreRows(const ScoreRows& chunk, int64_t rows,
                                                cuda::Stream stream);

// The way back, after LaunchScoreRows of the same logits: the gradient of each logit takes its
// place, read and written once.
[[nodiscard]] cuda::LaunchError LaunchScoreGradient(const ScoreRows& chunk, int64_t rows,
                                                    cuda::Stream stream);

}  // namespace attnrl::learner
