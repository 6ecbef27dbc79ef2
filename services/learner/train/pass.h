// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/attention/attention.h"
#include "common/attention/dense_attention.h"
#include "common/model/files/config.h"

namespace attnrl::learner {

// A prompt and the response whose tokens are scored; both at least one token. Views: the owner
// keeps the tokens alive.
struct PassSequence {
  std::span<const int32_t> prompt;
  std::span<const int32_t> response;

  // Rows of the forward pass: every token but the last, which predicts nothing.
  size_t rows() const { return prompt.size() + response.size() - 1; }
};

// Whether sequences that begin alike share the rows of what they have in common.
enum class Prefixes { kOnce, kEach };

// The tensors of one forward pass over whole sequences, packed without padding. "Tokens" are those
// of the responses, one after the other in the order of the sequences.
struct Pass {
  at::Tensor ids;                // int64 [rows]
  at::Tensor positions;          // int64 [rows], within its sequence
  std::vector<int64_t> lengths;  // input tokens of each sequence
  std::vector<int64_t> row_of;   // the row of each of them
  at::Tensor scored;             // int64 [scored rows]: rows that predict a token
  at::Tensor scored_by;          // int64 [tokens]: which of the scored rows predicts it
  at::Tensor targets;            // int64 [tokens]
  at::Tensor by_row;  // int64 [tokens]: tokens in the order of the rows that predict them
  // Of each scored row its first place in by_row; and the end.
  std::vector<int64_t> first_by_row;
  int64_t attended = 0;         // keys that the rows' queries see, over all rows
  int64_t distinct_tokens = 0;  // response tokens, those of a common prefix once
};

// All tensors in one copy to the device, for which the host doesn't wait.
Pass MakePass(std::span<const PassSequence> sequences, Prefixes prefixes, const at::Device& device);

// Rows of a pass of these sequences.
int64_t CountRows(std::span<const PassSequence> sequences, Prefixes prefixes);

// The attention of a pass of a model with weights of dtype `weights`: TreeAttention where it has
// own kernels, and where LibTorch has one and segments are long or DenseAttention would take more
// than kMostDenseBytes for a layer and its way back; DenseAttention elsewhere. Where activations
// are wider than weights, keys and values are rounded to the weights' dtype, as in the engine's
// cache: log-probs are then nearer to those measured when tokens were sampled.
std::unique_ptr<attention::Attention> MakeAttention(const Pass& pass,
                                                    const model::ModelConfig& config,
                                                    at::ScalarType weights);

// What DenseAttention may take where there is another way. Over it, time matters less than that a
// pass fits: short segments then take up to twice as long.
inline constexpr int64_t kMostDenseBytes = int64_t{1} << 30;

// Bytes that the attention of a pass of these sequences takes at most, beside what ActivationBytes
// counts of a row (pass_gradient.h), in activations of `dtype` and with `layers` layers that wait
// for their way back at once.
int64_t AttentionBytes(const model::ModelConfig& config, const at::Device& device,
                       at::ScalarType dtype, std::vector<attention::DenseSequence> sequences,
                       int64_t layers);

// Cuts sequences into passes of at most `max_rows` rows; a longer one is alone in its pass. The
// longest pass is as short as it can be without a pass more. With shared prefixes, sequences come
// in lexicographic order of their tokens, so that what begins alike is together; without, in the
// order of their length, longest first. Returns indices; every one exactly once.
std::vector<std::vector<size_t>> PlanPasses(std::span<const PassSequence> sequences,
                                            Prefixes prefixes, int64_t max_rows);

}  // namespace attnrl::learner
