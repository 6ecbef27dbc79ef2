// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "common/model/scoring.h"

namespace attnrl::learner {

// A prompt and the response whose tokens are scored; both at least one token. Views: the owner
// keeps the tokens alive.
struct PassSequence {
  std::span<const int32_t> prompt;
  std::span<const int32_t> response;

  // Rows of the forward pass: every token but the last, which predicts nothing.
  int64_t rows() const { return static_cast<int64_t>(prompt.size() + response.size()) - 1; }
};

// The tensors of one forward pass over whole sequences, packed without padding.
struct Pass {
  at::Tensor ids;                // int64 [rows]
  at::Tensor positions;          // int64 [rows], within its sequence
  std::vector<int64_t> lengths;  // rows of each sequence
  at::Tensor scored;             // int64 [responses' tokens]: the row that predicts each of them
  at::Tensor targets;            // int64 [responses' tokens]
};

Pass MakePass(std::span<const PassSequence> sequences, const at::Device& device);

// Log-prob and entropy of every response token, in order of the sequences: float32 [responses'
// tokens]. Logits are computed at these rows only. Differentiable in the model's weights.
model::TokenScores ScorePass(const model::Transformer& transformer, const Pass& pass,
                             double temperature);

// Cuts sequences of `rows` rows each into passes of at most `max_rows` rows; a longer one is alone
// in its pass. Sequences of similar length come together (longest first, ties by index), since
// attention pads to the longest of its group. Returns indices; every one exactly once.
std::vector<std::vector<size_t>> PlanPasses(std::span<const int64_t> rows, int64_t max_rows);

}  // namespace attnrl::learner
