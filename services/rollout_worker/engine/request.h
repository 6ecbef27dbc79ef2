// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/philox.h"
#include "services/rollout_worker/sampling/sampler.h"

namespace attnrl::rollout {

enum class FinishReason { kStop, kLength };

// Names a text that sequences have in common; chosen by the caller, means nothing but equality.
using PrefixId = std::array<uint32_t, 3>;

// The first `tokens` tokens of a prompt are those of the text `id`.
struct SharedPrefix {
  PrefixId id = {};
  int64_t tokens = 0;
};

// One sequence to sample: a prompt, and what was already said of the response.
struct Request {
  // Chosen by the caller, unique among the engine's unfinished requests.
  uint64_t id = 0;
  // The weights that must sample it, as numbered in SetWeights.
  uint32_t version = 0;
  // Everything before the first sampled token; not empty.
  std::vector<int32_t> prompt_ids = {};
  // What it shares with other requests of the same version, shortest first: a prompt, then a
  // response to it. Each is computed and stored once, by whoever comes first.
  std::vector<SharedPrefix> shared = {};
  // Set where later requests may name prompt and response of this one as a text that they share.
  std::optional<PrefixId> becomes = std::nullopt;
  // At least 1; prompt_ids and this together fit StepperOptions::max_tokens.
  int64_t max_new_tokens = 1;
  SamplingParams sampling = {};
  // Token i of the response is drawn with RandomUniform(key, i). A continuation counts from the
  // start of the response, so its first token has index `first_index`.
  RandomKey key = {};
  uint32_t first_index = 0;
  // The response ends with the first of these; it is part of the response.
  std::vector<int32_t> stop_ids = {};
  // Optional further end: asked after each token with all sampled ones. Runs on the engine's
  // thread.
  std::function<bool(const std::vector<int32_t>&)> stop_when = nullptr;
  // Set where the steps of prompt and response are to be scored by the attention they receive
  // (FCI): attention counts from this many steps later on.
  std::optional<uint32_t> score_delta = std::nullopt;
};

// INVALID_ARGUMENT for a request that no engine of these limits can run, saying what is wrong and
// what is allowed: lengths, token ids below `vocabulary`, sampling values.
absl::Status CheckRequest(const Request& request, int64_t max_tokens, int64_t vocabulary);

// Steps over prompt + response as ends (exclusive) of adjoining token ranges, the prompt first, and
// an FCI score for each.
struct StepScores {
  std::vector<uint32_t> ends = {};
  std::vector<float> fci = {};
};

// The end of a request: every one that was accepted has exactly one. Log-probs and entropies (nats,
// one a token) are those of log_softmax(logits / T), T = 1 where the temperature is 0, before top-p
// and top-k.
struct Completion {
  uint64_t id = 0;
  // CANCELLED after Abort or Stop; INTERNAL when the model's run fails or its weights have given no
  // finite logits yet; DATA_LOSS when weights that have give none for this sequence;
  // INVALID_ARGUMENT when it can't run, or what it shares is not in order.
  // The rest is then what was sampled up to there.
  absl::Status status = absl::OkStatus();
  std::vector<int32_t> token_ids = {};
  std::vector<float> logprobs = {};
  std::vector<float> entropy = {};
  FinishReason finish = FinishReason::kLength;
  // From admission to the end, wall clock; never turned round. The epoch where it wasn't admitted.
  absl::Time start = absl::UnixEpoch();
  absl::Time end = absl::UnixEpoch();
  // Tokens computed for it beside those that it sampled (after a preemption these too), and prompt
  // tokens that others had computed.
  int64_t prefill_tokens = 0;
  int64_t reused_tokens = 0;
  // Where the request asked for them.
  StepScores scores = {};
};

using CompletionCallback = std::function<void(Completion)>;

}  // namespace attnrl::rollout
