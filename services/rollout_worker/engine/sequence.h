// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "services/rollout_worker/engine/kv_branch.h"
#include "services/rollout_worker/engine/online_scores.h"
#include "services/rollout_worker/engine/prefix_cache.h"
#include "services/rollout_worker/engine/request.h"

namespace attnrl::model {
class Transformer;
}

namespace attnrl::rollout {

// The weights of a version, as they were set once. Others set later under the same number are
// another object with another serial.
struct VersionWeights {
  uint32_t version = 0;
  uint64_t serial = 0;
  std::shared_ptr<const model::Transformer> weights = nullptr;
  bool sound = false;  // they have given finite logits
};

// A request on its way, from Submit to its completion.
struct Sequence {
  Request request = {};
  CompletionCallback done = nullptr;
  Completion result = {};
  uint64_t arrival = 0;
  int64_t times_passed = 0;  // by others that entered while it found no room
  // Set at the first admission and kept: all of its tokens come from the same weights.
  std::shared_ptr<VersionWeights> weights = nullptr;

  // Where its attention is scored on the way; then, with its last token drawn, it goes on for one
  // step more, since that token is a query too.
  std::unique_ptr<OnlineScores> scores = nullptr;
  bool closing = false;
  // Since its admission, the last one without a token.
  std::optional<Stopwatch> watch = std::nullopt;

  // While it runs.
  std::shared_ptr<Prefix> prefix = nullptr;  // null: shares nothing
  std::shared_ptr<KvBranch> kv = nullptr;
  int64_t computed = 0;             // tokens whose keys and values exist
  int64_t planned = 0;              // more of them in the step that is being planned
  uint64_t admission = 0;           // in the order of admissions
  std::vector<uint64_t> path = {};  // serials of its texts: siblings have the same one

  int64_t known() const {
    return static_cast<int64_t>(request.prompt_ids.size() + result.token_ids.size());
  }
  int32_t Token(int64_t position) const {
    const auto i = static_cast<size_t>(position);
    const size_t prompt = request.prompt_ids.size();
    return i < prompt ? request.prompt_ids[i] : result.token_ids[i - prompt];
  }
  bool samples() const { return !result.token_ids.empty(); }
  // Prompt tokens that it didn't compute itself.
  int64_t reused() const {
    return std::max<int64_t>(
        0, static_cast<int64_t>(request.prompt_ids.size()) - result.prefill_tokens);
  }
};

// A text that a sequence builds on, and how many of its tokens that takes.
struct NeededText {
  Prefix* prefix = nullptr;
  int64_t tokens = 0;
};

// Ancestors first. `begin`: where the sequence leaves the last one.
inline std::vector<NeededText> TextsOf(const Sequence& sequence, int64_t begin) {
  std::vector<NeededText> texts;
  for (Prefix* text = sequence.prefix.get(); text != nullptr; text = text->parent.get()) {
    texts.push_back({text, begin});
    begin = std::min(begin, text->begin());
  }
  std::reverse(texts.begin(), texts.end());
  return texts;
}

// How sequences stand in a pass: by weights, the older version first; siblings side by side.
inline bool StandsBefore(const Sequence& a, const Sequence& b) {
  if (a.weights->version != b.weights->version) return a.weights->version < b.weights->version;
  if (a.weights->serial != b.weights->serial) return a.weights->serial < b.weights->serial;
  if (a.path != b.path) return a.path < b.path;
  return a.admission < b.admission;
}

}  // namespace attnrl::rollout
