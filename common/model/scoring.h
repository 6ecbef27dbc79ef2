// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/model/transformer.h"

namespace attnrl::model {

struct ScoreRequest {
  std::vector<int32_t> prompt_ids;    // at least one
  std::vector<int32_t> response_ids;  // at least one; together <= max_position_embeddings
};

struct SequenceScores {
  std::vector<float> logprobs;  // one per response token
  std::vector<float> entropy;
};

// Log-prob and entropy (temperature 1) of every response token, in the order of the requests.
// Sequences are batched by a budget of tokens; no gradients. With FixedOrder operators each
// sequence is computed as FixedOrderAttention would while decoding it, bit for bit.
std::vector<SequenceScores> ScoreSequences(const Transformer& transformer,
                                           const std::vector<ScoreRequest>& requests,
                                           int64_t tokens_per_pass = 4096);

// What a request may not be, as the text behind "file:line: "; empty when it is fine.
std::string CheckScoreRequest(const ModelConfig& config, const ScoreRequest& request);

}  // namespace attnrl::model
