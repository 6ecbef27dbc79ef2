// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "services/rollout_worker/engine/request.h"
#include "services/rollout_worker/testing/fake_step_runner.h"

namespace attnrl::rollout {

// For tests of the stepper: requests, and what the made-up model must give for them.

inline constexpr int64_t kVocabulary = 12;

inline Request MakeRequest(uint64_t id, std::vector<int32_t> prompt = {1, 2, 3},
                           int64_t tokens = 5) {
  Request request;
  request.id = id;
  request.prompt_ids = std::move(prompt);
  request.max_new_tokens = tokens;
  request.key = {.seed = 1, .purpose = kSampleToken, .node = static_cast<uint32_t>(id)};
  return request;
}

// What a request must give, computed one sequence at a time without cache or batch.
inline Completion Naive(const Request& request, uint64_t weights) {
  Completion expected;
  Sampler sampler;
  std::vector<int64_t> tokens(request.prompt_ids.begin(), request.prompt_ids.end());
  while (static_cast<int64_t>(expected.token_ids.size()) < request.max_new_tokens) {
    const uint32_t index = request.first_index + static_cast<uint32_t>(expected.token_ids.size());
    const auto token = sampler.Sample(FakeLogits(weights, tokens, kVocabulary), request.sampling,
                                      request.key, index);
    expected.token_ids.push_back(token.id);
    expected.logprobs.push_back(token.logprob);
    expected.entropy.push_back(token.entropy);
    tokens.push_back(token.id);
    if (!request.stop_ids.empty() && token.id == request.stop_ids[0]) {
      expected.finish = FinishReason::kStop;
      break;
    }
  }
  return expected;
}

inline std::vector<int32_t> Text(size_t tokens) {
  std::vector<int32_t> text(tokens);
  for (size_t i = 0; i < tokens; ++i) text[i] = static_cast<int32_t>(i % 11);
  return text;
}

}  // namespace attnrl::rollout
