// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/philox.h"

namespace attnrl::rollout {

// How a token is drawn from the model's distribution.
struct SamplingParams {
  double temperature = 1;  // 0 = the most likely token, the lowest id among equals
  double top_p = 1;        // 1 = off; the smallest set of most likely tokens with this probability
  int64_t top_k = 0;       // 0 = off; applied before top_p
};

// True where top-k or top-p leaves tokens out.
inline bool Truncates(const SamplingParams& params) { return params.top_p < 1 || params.top_k > 0; }

struct SampledToken {
  int32_t id = -1;    // -1: the logits were not finite
  float logprob = 0;  // nats, log_softmax(logits / T)[id], before top-p and top-k
  float entropy = 0;  // nats, of softmax(logits / T)
};

// Draws tokens from rows of logits (services/rollout_worker/sampling/README.md). What it draws is a
// pure function of (row, params, key, index), to the bit and on any machine: the inverse of the
// cumulative distribution at RandomUniform(key, index), found in two levels. Holds scratch memory
// of the vocabulary's size where top-k or top-p is used; one thread an object.
class Sampler {
 public:
  // `logits`: float32 [vocabulary], not empty. `index`: the token's index in its response.
  SampledToken Sample(std::span<const float> logits, const SamplingParams& params,
                      const RandomKey& key, uint32_t index);

 private:
  // What top-k and top-p keep: every logit above `above`, and the first `ties` that equal it.
  struct Kept {
    float above = 0;
    int64_t ties = 0;
    uint64_t mass = 0;  // in kMassUnits
  };
  Kept Truncate(std::span<const float> logits, const SamplingParams& params);
  Kept Largest(std::span<const float> logits, int64_t count, uint64_t mass);
  int32_t DrawKept(std::span<const float> logits, const Kept& kept, double uniform);

  std::vector<float> weights_;  // exp((logit - largest) / T) of all ids
  std::vector<double> sums_;    // of blocks of ids
  std::vector<int32_t> members_;
};

}  // namespace attnrl::rollout
