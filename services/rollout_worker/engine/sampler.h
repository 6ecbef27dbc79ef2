// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/philox.h"
#include "services/rollout_worker/engine/request.h"

namespace attnrl::rollout {

struct SampledToken {
  int32_t id = 0;
  float logprob = 0;  // nats, log_softmax(logits / T)[id], before top-p and top-k
  float entropy = 0;  // nats, of softmax(logits / T)
};

// Draws tokens from rows of logits (services/rollout_worker/engine/README.md, "Sampling"). What it
// draws is a pure function of (row, params, key, index): sums run over the ids in ascending order
// in float64, the token is the inverse of the cumulative distribution at RandomUniform(key, index).
// So a sequence is the same in every batch. Holds scratch memory of the vocabulary's size; one
// thread an object.
class Sampler {
 public:
  // `logits`: float32 [vocabulary], not empty. `index`: the token's index in its response.
  // INTERNAL when the logits are not finite.
  absl::StatusOr<SampledToken> Sample(std::span<const float> logits, const SamplingParams& params,
                                      const RandomKey& key, uint32_t index);

 private:
  void Truncate(std::span<const float> logits, const SamplingParams& params, double total);

  std::vector<double> weights_;  // exp((logit - max) / T); 0 for ids cut off by top-k or top-p
  std::vector<int32_t> order_;
  std::vector<int32_t> kept_;
};

// True where top-k or top-p leaves tokens out.
inline bool Truncates(const SamplingParams& params) { return params.top_p < 1 || params.top_k > 0; }

}  // namespace attnrl::rollout
