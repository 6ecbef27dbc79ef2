// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace attnrl::scheduler {

enum class PipelineMode { kOverlapped, kSequential, kOnPolicy };

// The one-step pipeline of ARCHITECTURE.md as pure functions: which weights sample what, and what
// may be known when. W(v) is the policy after v training batches; batch b turns W(b) into W(b+1).
//
//   | mode                  | initial(b) under | MC(b) under |
//   | overlapped            | W(b-2)           | W(b-1)      |
//   | overlapped, no MC     | W(b-1)           |             |
//   | sequential            | W(b-1)           | W(b)        |
//   | on_policy             | W(b)             | W(b)        |
//
// Every index is read as max(e, index), e the base of the batch's segment. No state, no clock.
struct Schedule {
  PipelineMode mode = PipelineMode::kOverlapped;
  bool branching = false;
  // Batches 0..steps-1 are sampled and trained; nothing beyond.
  uint32_t steps = 0;

  // Batches between the weights that sample and those that the batch trains, away from the base.
  uint32_t InitialLag() const;
  uint32_t ContinuationLag() const;

  // Version that samples the initial responses, and the continuations, of batch b >= base.
  uint32_t InitialVersion(uint32_t base, uint32_t batch) const;
  uint32_t ContinuationVersion(uint32_t base, uint32_t batch) const;

  // Lags that the learner must find in batch b: min(b - e, lag).
  uint32_t ExpectedInitialLag(uint32_t base, uint32_t batch) const;
  uint32_t ExpectedContinuationLag(uint32_t base, uint32_t batch) const;

  // Newest batch that the composition of batch b (its size, its problems) may depend on: those
  // already trained into the weights that sample it, so b-3 overlapped (b-2 without branching), b-2
  // sequential, b-1 on_policy. nullopt while there is none.
  std::optional<uint32_t> NewestKnownBatch(uint32_t base, uint32_t batch) const;

  // True when batch b may be composed and its initial responses sampled: it is one of the run's,
  // and the weights that sample it exist (`newest` = highest version announced).
  bool MayBegin(uint32_t base, uint32_t batch, std::optional<uint32_t> newest) const;

  // Lowest version that batch b still needs, given how far it is: before its initial responses are
  // all there, after that while continuations are missing.
  uint32_t OldestVersionNeeded(uint32_t base, uint32_t batch, bool initial_done) const;
};

}  // namespace attnrl::scheduler
