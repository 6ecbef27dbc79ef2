// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
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
// log-prob has the bits that decoding the sequence with FixedOrderAttention gives.
std::vector<SequenceScores> ScoreSequences(const Transformer& transformer,
                                           const std::vector<ScoreRequest>& requests,
                                           int64_t tokens_per_pass = 4096);

// InputError on `where` ("file:line") for an empty prompt or response, an id outside the
// vocabulary, or more tokens than the model has positions.
absl::Status CheckScoreRequest(const std::string& where, const ModelConfig& config,
                               const ScoreRequest& request);

}  // namespace attnrl::model
