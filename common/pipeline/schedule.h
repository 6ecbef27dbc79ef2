// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/words.h"

namespace attnrl::pipeline {

enum class PipelineMode { kOverlapped, kSequential, kOnPolicy };
inline std::vector<Word<PipelineMode>> WordsOf(PipelineMode) {
  return {{"overlapped", PipelineMode::kOverlapped},
          {"sequential", PipelineMode::kSequential},
          {"on_policy", PipelineMode::kOnPolicy}};
}

// A batch in its segment: `base` (e) is the first batch of the segment, base <= batch. Written with
// names, {.base = e, .batch = b}, since both are batch numbers.
struct Place {
  uint32_t base = 0;
  uint32_t batch = 0;
};

// Lags of a batch's tokens: the batch's number less that of the version that sampled them.
struct Lags {
  uint32_t initial = 0;
  std::optional<uint32_t> continuation;  // nullopt: the run has no such tokens
};

// The one-step pipeline (common/pipeline/README.md, "The one-step pipeline") as pure functions:
// which weights sample what, and what may be known when. W(v) is the policy after v training
// batches; batch b turns W(b) into W(b+1).
//
//   | mode                  | initial(b) under | continuations(b) under |
//   | overlapped            | W(b-2)           | W(b-1)                 |
//   | overlapped, none      | W(b-1)           |                        |
//   | sequential            | W(b-1)           | W(b)                   |
//   | on_policy             | W(b)             | W(b)                   |
//
// Every index is read as max(e, index). No state, no clock.
struct Schedule {
  PipelineMode mode = PipelineMode::kOverlapped;
  bool branching = false;  // the run has continuations

  // Version that samples the initial responses, and the continuations, of a batch.
  uint32_t InitialVersion(Place place) const;
  uint32_t ContinuationVersion(Place place) const;

  // Lags that the learner must find in a batch.
  Lags LagsOf(Place place) const;

  // Newest batch that the composition of a batch (its size, its problems) may depend on: those
  // already trained into the weights that sample it, so b-3 overlapped (b-2 without branching), b-2
  // sequential, b-1 on_policy. nullopt while there is none.
  std::optional<uint32_t> NewestKnownBatch(Place place) const;

  // True when the weights that sample a batch's initial responses exist; `newest` is the highest
  // version announced.
  bool MayBegin(Place place, std::optional<uint32_t> newest) const;

  // Lowest version that a batch still needs, given how far it is: before its initial responses are
  // all there, after that while continuations are missing.
  uint32_t OldestVersionNeeded(Place place, bool initial_done) const;
};

}  // namespace attnrl::pipeline
